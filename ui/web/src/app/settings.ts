// How things are shown: theme, contrast, zone. The server keeps it for the account, in whichever browser (`choose` in me.ts); what this
// browser remembers is for the first paint, and for whoever has no account. Nothing of it is in an address, so a link looks to everyone
// the way they chose.

import { computed, effect, signal } from "@preact/signals";
import type { Display } from "../api/types";

const NAME = "spotter.display";
const USUAL: Display = { theme: "system", contrast: "system", zone: "" };

function remembered(): Display {
  try {
    return { ...USUAL, ...JSON.parse(localStorage.getItem(NAME) ?? "{}") };
  } catch {
    // Storage is off, or holds something else.
    return USUAL;
  }
}

export const display = signal(remembered());

/** Does this browser know the IANA zone? */
export function isZone(name: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

/** The zone an administrator chose for everybody. */
export const usualZone = signal("UTC");
/** The zone that times are shown in: "utc", "local" or an IANA zone that this browser knows. They are kept, sent and linked in UTC. */
export const shownZone = computed(() => {
  const name = display.value.zone || usualZone.value;
  return name === "local" || (name !== "UTC" && isZone(name)) ? name : "utc";
});

/** Puts theme and contrast on the document, where the styles look for them. */
export function followSettings(): void {
  effect(() => {
    const { theme, contrast } = display.value;
    Object.assign(document.documentElement.dataset, { theme, contrast });
    try {
      localStorage.setItem(NAME, JSON.stringify(display.value));
    } catch {
      // It lasts as long as the page.
    }
  });
}
