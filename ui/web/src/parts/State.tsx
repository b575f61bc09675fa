// Loading, empty and failed: each says what to do.

import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client";

export function Notice({ title, children, tone = "plain" }: { title: string; children?: ComponentChildren; tone?: "plain" | "bad" }) {
  return (
    <div class={`notice ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Failed({ error, retry }: { error: ApiError; retry?: () => void }) {
  return (
    <Notice title={error.message} tone="bad">
      {error.detail ? <p>{error.detail}</p> : null}
      <p>{error.action}</p>
      {retry ? (
        <button type="button" onClick={retry}>
          Try again
        </button>
      ) : null}
    </Notice>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <div class="loading" role="status">
      Loading {what} …
    </div>
  );
}
