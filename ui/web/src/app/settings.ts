// How this browser shows things: theme, contrast, zone. Kept in this browser; nothing of it is in an address, so a link
// looks to everyone the way they chose.

import { computed, effect, type Signal, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
export type Contrast = "system" | "more";

/** A choice that is kept; the first one is what is meant where none is. */
function kept<T extends string>(key: string, standard: T, isKnown: (value: string) => boolean): Signal<T> {
  const name = `spotter.${key}`;
  let start = standard;
  try {
    const value = localStorage.getItem(name);
    if (value !== null && isKnown(value)) start = value as T;
  } catch {
    // Storage is off: the choice lasts as long as the page.
  }
  const setting = signal<T>(start);
  effect(() => {
    const { value } = setting;
    try {
      if (value === standard) localStorage.removeItem(name);
      else localStorage.setItem(name, value);
    } catch {
      // As above.
    }
  });
  return setting;
}

/** Does this browser know the IANA zone? */
export function isZone(name: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

export const theme = kept<Theme>("theme", "system", (value) => ["light", "dark"].includes(value));
export const contrast = kept<Contrast>("contrast", "system", (value) => value === "more");
/** In which zone times are shown: "utc", "local" (this browser's), an IANA zone, or nothing: the one an administrator chose
    for everybody. They are kept, sent and linked in UTC. */
export const zone = kept<string>("zone", "", (value) => ["utc", "local"].includes(value) || isZone(value));
/** The zone an administrator chose for everybody. */
export const usualZone = signal("UTC");
/** The zone that times are shown in: "utc", "local" or an IANA zone that this browser knows. */
export const shownZone = computed(() => {
  const name = zone.value || usualZone.value;
  return name === "local" || (name !== "UTC" && isZone(name)) ? name : "utc";
});

/** Puts theme and contrast on the document, where the styles look for them. */
export function followSettings(): void {
  effect(() => {
    const { dataset } = document.documentElement;
    dataset["theme"] = theme.value;
    dataset["contrast"] = contrast.value;
  });
}
