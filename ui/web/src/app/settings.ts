// How this browser shows things: theme, contrast, zone. Kept in this browser; nothing of it is in an address, so a link
// looks to everyone the way they chose.

import { effect, type Signal, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
export type Contrast = "system" | "more";
export type Zone = "utc" | "local";

function kept<T extends string>(key: string, values: readonly [T, ...T[]]): Signal<T> {
  const name = `spotter.${key}`;
  let start: T = values[0];
  try {
    start = values.find((value) => value === localStorage.getItem(name)) ?? start;
  } catch {
    // Storage is off: the choice lasts as long as the page.
  }
  const setting = signal<T>(start);
  effect(() => {
    const { value } = setting;
    try {
      if (value === values[0]) localStorage.removeItem(name);
      else localStorage.setItem(name, value);
    } catch {
      // As above.
    }
  });
  return setting;
}

export const theme = kept<Theme>("theme", ["system", "light", "dark"]);
export const contrast = kept<Contrast>("contrast", ["system", "more"]);
/** In which zone times are shown. They are kept, sent and linked in UTC. */
export const zone = kept<Zone>("zone", ["utc", "local"]);

/** Puts theme and contrast on the document, where the styles look for them. */
export function followSettings(): void {
  effect(() => {
    const { dataset } = document.documentElement;
    dataset["theme"] = theme.value;
    dataset["contrast"] = contrast.value;
  });
}
