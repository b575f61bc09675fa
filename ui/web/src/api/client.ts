// The one way to the server. Same origin, session cookie, JSON; every failure becomes an `ApiError` that says what to do.

import type { Changes, Problem, Responses } from "./types";

/** A failed request. `action` says what the person at the screen can do. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    title: string,
    readonly detail: string,
    readonly action: string,
  ) {
    super(title);
    this.name = "ApiError";
  }
}

export type Params = Record<string, string | number | undefined>;

/** Puts `values` into the braces of `template`; what is left becomes the query. */
export function address(template: string, values: Params): string {
  const rest = new URLSearchParams();
  let path = template;
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === "") continue;
    if (path.includes(`{${name}}`)) path = path.replace(`{${name}}`, () => encodeURIComponent(value));
    else rest.set(name, String(value));
  }
  const query = rest.toString();
  return query ? `${path}?${query}` : path;
}

async function failure(response: Response): Promise<ApiError> {
  let problem: Partial<Problem> = {};
  try {
    problem = (await response.json()) as Partial<Problem>;
  } catch {
    // Not ours: a proxy between, or the server is going down. The status is all there is.
  }
  return new ApiError(
    response.status,
    problem.title ?? `The server answered ${response.status}`,
    problem.detail ?? "",
    problem.action ?? (response.status === 401 ? "Open the link that `spotter serve` prints." : "Try again."),
  );
}

/** GET of a path of the OpenAPI document, typed by it. */
export async function get<P extends keyof Responses>(path: P, values: Params, signal?: AbortSignal): Promise<Responses[P]> {
  return (await ask(address(path, values), { headers: { accept: "application/json" } }, signal)) as Responses[P];
}

/** A request that changes something, `"POST /api/v1/…"`, typed by the OpenAPI document. `values` fill the path and the query. */
export async function send<K extends keyof Changes>(what: K, body: Changes[K]["body"], values: Params = {}, signal?: AbortSignal): Promise<Changes[K]["answer"]> {
  const [method = "", path = ""] = what.split(" ");
  const headers = { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }) };
  return (await ask(address(path, values), { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }, signal)) as Changes[K]["answer"];
}

/** What happens when the session has ended. */
let onSignedOut: () => void = () => {};

export function whenSignedOut(run: () => void): void {
  onSignedOut = run;
}

async function ask(url: string, init: RequestInit, signal?: AbortSignal): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...init, ...(signal ? { signal } : {}) });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer", "", "Is `spotter serve` still running? This page goes on when it is.");
  }
  if (response.status === 401) onSignedOut();
  if (!response.ok) throw await failure(response);
  if (response.status === 204) return undefined;
  return response.json();
}

/** Any error as one that can be shown. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, "The page failed", error instanceof Error ? error.message : String(error), "Reload the page.");
}
