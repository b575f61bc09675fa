// State that the address says, so that a reload and a link show it again. None of it is a step of the history.

import { useEffect, useRef } from "preact/hooks";
import { change, route } from "./route";

/** A choice that stands in the address alone; the usual one is not written. */
export function useParam<T extends string>(name: string, known: readonly T[]): [T, (next: T) => void] {
  const [usual] = known as [T];
  const value = known.find((one) => one === route.value.params[name]) ?? usual;
  return [value, (next) => change({ [name]: next === usual ? "" : next }, "replace")];
}

/** How many names a list of an address has; the oldest goes. */
const NAMES = 8;

/** Is a name one of those that a parameter lists? And a way to put it there, or take it away. A name with more behind it counts: older
    addresses say a chart's steps too (`records-per-2-h`). */
export function useListed(param: string, name: string): [boolean, (on: boolean) => void] {
  const all = (route.value.params[param] ?? "").split(".").filter(Boolean);
  const means = (one: string) => one === name || one.startsWith(`${name}-`);
  return [all.some(means), (on) => change({ [param]: [...all.filter((one) => !means(one)), ...(on ? [name] : [])].slice(-NAMES).join(".") }, "replace")];
}

/** Keeps state and address alike: `text` is written when it changes and has rested for so many ms; what the address said first, or says
    anew, is given to `restore`. */
export function useMirror(name: string, text: string, restore: (text: string) => void, rest = 0): void {
  const said = route.value.params[name] ?? "";
  const last = useRef("");
  useEffect(() => {
    if (text === last.current) return;
    const write = setTimeout(() => {
      last.current = text;
      change({ [name]: text }, "replace");
    }, rest);
    return () => clearTimeout(write);
  }, [text]);
  useEffect(() => {
    if (said === last.current) return;
    last.current = said;
    restore(said);
  }, [said]);
}
