// Keys. A page says with `useKeys` what its keys do while it is shown; they work anywhere but in a text field. `?` lists
// what works now. `g` and a letter go to a page of the registry.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { pageOf, SECTIONS } from "../pages/registry";
import { days, recorded } from "../parts/time/days";
import { opened, TIMES } from "../parts/views/time";
import { me } from "./me";
import { asSource } from "../text/source";
import { type At, format, go, route } from "./route";

/** What a key does. `keys`: one or more `KeyboardEvent.key`; a text of two letters with a space is pressed one after the other. */
export interface KeyAction {
  keys: readonly string[];
  /** What the help says. */
  text: string;
  /** Gives back false if it did nothing: then another action may take the key. Absent: the focused part handles the key. */
  run?: (key: string) => boolean | void;
}

export interface KeySection {
  title: string;
  actions: readonly KeyAction[];
}

/** Time within which the second key of `g f` must come, ms. */
const CHORD = 1000;

/** What works now, latest first. */
export const sections = signal<readonly KeySection[]>([]);

/** Adds keys for as long as the component is shown. `actions` may change; the latest count. */
export function useKeys(title: string, actions: readonly KeyAction[]): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const section: KeySection = {
      title,
      get actions() {
        return latest.current;
      },
    };
    sections.value = [section, ...sections.peek()];
    return () => {
      sections.value = sections.peek().filter((other) => other !== section);
    };
  }, [title]);
}

/** Where a link of the navigation leads: the view that the page begins with for whoever is signed in, and what goes
    along from here. */
export function visited(name: string, path: readonly string[]): At {
  const now = route.value;
  const place = [name, ...path].join("/");
  const view = me.value?.views.find((one) => one.page === place);
  // Beside a view only the time goes along.
  const carries = ((now.page === name && pageOf(name)?.carries) || []).filter((param) => !view || TIMES.includes(param));
  // A day goes along where there are records of the other source, too.
  const has = (date: string) => !days.value || recorded(days.value, asSource(path[0])).some((day) => day.date === date);
  const kept = Object.fromEntries(Object.entries(now.params).filter(([param, value]) => carries.includes(param) && (param !== "date" || has(value))));
  const { at, ...params } = view ? opened(view.query, path[0]) : {};
  return { page: name, path: at?.split("/") ?? path, params: { ...kept, ...params } };
}

export const visitAddress = (name: string, path: readonly string[]): string => format(visited(name, path));

/** Goes there. */
export const visit = (name: string, path: readonly string[]): void => go(visited(name, path));

const isText = (target: EventTarget | null) => target instanceof HTMLElement && target.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

/** Starts listening; gives back how to stop. */
export function followKeys(): () => void {
  const goTo = new Map(SECTIONS.flat().flatMap((entry) => entry.links.flatMap((link) => [...(link.key ?? "")].map((key) => [key, { name: entry.name, path: link.path }] as const))));
  let chord = Number.NEGATIVE_INFINITY;
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isText(event.target)) return;
    // A dialog or a menu that is open has the keyboard to itself.
    if (document.querySelector("dialog[open]")) return;
    if (event.timeStamp - chord < CHORD) {
      chord = Number.NEGATIVE_INFINITY;
      const place = goTo.get(event.key);
      if (place) {
        visit(place.name, place.path);
        event.preventDefault();
      }
      return;
    }
    if (event.key === "g") {
      chord = event.timeStamp;
      return;
    }
    for (const section of sections.value) {
      for (const action of section.actions) {
        if (!action.run || !action.keys.includes(event.key) || action.run(event.key) === false) continue;
        event.preventDefault();
        return;
      }
    }
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}

/** The keys that go to pages, for the help. */
export function pageKeys(): KeySection {
  const actions = SECTIONS.flat().flatMap((entry) => entry.links.flatMap((link) => (link.key ? [{ keys: ["g", ...link.key], text: link.label }] : [])));
  return { title: "Go to", actions };
}
