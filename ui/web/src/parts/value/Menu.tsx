// The one menu of all values. It finds them by their data attributes, so that a table of thousands needs no handler of
// its own for each. What can be done is loaded when it is opened.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useKeys } from "../../app/keys";
import { later } from "../later";
import type { Kind } from "./links";

export interface Chosen {
  field: string;
  value: string;
  kind: Kind;
}

export interface Open {
  x: number;
  y: number;
  /** One: its actions. More: which of them. */
  values: readonly Chosen[];
  before: Element | null;
}

const List = later(() => import("./MenuList").then((code) => code.List), "the menu");

export const open = signal<Open | undefined>(undefined);

function chosen(element: HTMLElement): Chosen {
  const { field = "", value = "", kind = "text" } = element.dataset;
  return { field, value, kind: kind as Kind };
}

function show(element: Element, values: readonly Chosen[], x?: number, y?: number): void {
  const box = element.getBoundingClientRect();
  open.value = { x: x ?? box.left, y: y ?? box.bottom + 2, values, before: document.activeElement };
}

/** The values of the row, the branch or the arc that what has the focus is on. */
function rowMenu(): boolean {
  const focus = document.activeElement;
  const row = focus?.closest(".grid, svg.tree, svg.chord")?.querySelector(".at") ?? focus?.closest("tr");
  const values = row ? [...(row.matches("[data-field]") ? [row as HTMLElement] : row.querySelectorAll<HTMLElement>("[data-field]"))].map(chosen) : [];
  if (!row || values.length === 0) return false;
  show(row, values);
  return true;
}

export function ValueMenu() {
  useKeys("Values", [{ keys: ["m"], text: "menu of the row's values, of the branch, of the arc", run: rowMenu }]);
  useEffect(() => {
    const find = (event: Event) => (event.target instanceof Element ? event.target.closest<HTMLElement>("[data-field]") : null);
    const onContext = (event: MouseEvent) => {
      const element = find(event);
      if (!element || event.shiftKey) return;
      event.preventDefault();
      show(element, [chosen(element)], event.clientX, event.clientY);
    };
    const onClick = (event: MouseEvent) => {
      if (!(event.target instanceof Element) || !event.target.closest(".more, .pivot")) return;
      const element = find(event);
      if (!element) return;
      event.stopPropagation();
      show(element, [chosen(element)]);
    };
    document.addEventListener("contextmenu", onContext);
    // Before the row below takes the press for itself.
    document.addEventListener("click", onClick, true);
    return () => {
      document.removeEventListener("contextmenu", onContext);
      document.removeEventListener("click", onClick, true);
    };
  }, []);
  const now = open.value;
  return now ? <List key={`${now.x} ${now.y} ${now.values.length}`} now={now} /> : null;
}
