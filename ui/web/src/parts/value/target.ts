// The query that the value menu works on: a page that has one says so while it is shown.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** What can be done with a value. */
export interface Action {
  label: string;
  hint?: string;
  run: () => void;
}

export interface FilterTarget {
  /** Does the page's query know this field? */
  knows: (field: string) => boolean;
  query: string;
  apply: (query: string) => void;
  /** The page with that query, to be opened elsewhere. */
  address: (query: string) => string;
  /** More that this page can do with a value. */
  extra?: (field: string, value: string) => readonly Action[];
}

export const target = signal<FilterTarget | undefined>(undefined);

/** Makes the page's query the one that values are added to. */
export function useFilterTarget(now: FilterTarget): void {
  useEffect(() => {
    target.value = now;
  });
  useEffect(() => () => void (target.value = undefined), []);
}
