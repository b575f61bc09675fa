// Who is signed in, what that may do, and what it begins with. The server decides; this only hides what it would refuse.

import { signal } from "@preact/signals";
import { asApiError, get, send } from "../api/client";
import type { Display, Me, Role } from "../api/types";
import { toast } from "../parts/toast";
import { display, usualZone } from "./settings";

const ORDER: readonly Role[] = ["viewer", "analyst", "admin"];

export const me = signal<Me | undefined>(undefined);

/** Asks the server. A failure leaves it open: the pages say what is wrong. */
export async function loadMe(): Promise<void> {
  try {
    me.value = await get("/api/v1/me", {});
    usualZone.value = me.value.zone;
    if (me.value.display) display.value = me.value.display;
  } catch {
    me.value = undefined;
  }
}

/** Shows things in another way from now on, in every browser of the account. */
export function choose(patch: Partial<Display>): void {
  display.value = { ...display.value, ...patch };
  if (me.value?.display) send("PUT /api/v1/me/display", display.value).catch((error: unknown) => toast({ text: `Chosen for this browser only: ${asApiError(error).message}.`, tone: "bad" }));
}

/** May whoever is signed in do what asks for `least`? */
export function may(least: Role | undefined): boolean {
  if (least === undefined) return true;
  return me.value !== undefined && ORDER.indexOf(me.value.role) >= ORDER.indexOf(least);
}

/** Where to sign in again; the view stays in the fragment, and is there afterwards. */
export function signInAgain(): void {
  if (me.value?.via === "session") location.assign(`/login${location.hash}`);
}
