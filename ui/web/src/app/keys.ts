// Keys that work anywhere but in a text field.

import { days, latest, neighbour } from "../suspicious/days";
import { change, go, route, type Source, suspicious } from "./route";

const PLACES: Record<string, Source | "health"> = { f: "flow", d: "dns", p: "proxy", h: "health" };
/** Time within which the second key of `g f` must come, ms. */
const CHORD = 1000;

/** Goes to a page, keeping the day. */
export function visit(place: Source | "health"): void {
  const now = route.value;
  if (place === "health") go({ page: "health" });
  else go(suspicious(place, now.page === "suspicious" ? { date: now.date, flat: now.flat } : {}));
}

function stepDay(step: 1 | -1): void {
  const now = route.value;
  const all = days.value;
  if (now.page !== "suspicious" || !all) return;
  const to = neighbour(all, now.source, now.date || latest(all, now.source), step);
  if (to) change({ date: to, selected: "" });
}

/** Starts listening; gives back how to stop. */
export function followKeys(help: () => void): () => void {
  let chord = Number.NEGATIVE_INFINITY;
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]")) return;
    if (event.timeStamp - chord < CHORD) {
      chord = Number.NEGATIVE_INFINITY;
      const place = PLACES[event.key];
      if (place) {
        visit(place);
        event.preventDefault();
      }
      return;
    }
    switch (event.key) {
      case "g":
        chord = event.timeStamp;
        return;
      case "/":
        document.getElementById("filter")?.focus();
        break;
      case "?":
        help();
        break;
      case "[":
        stepDay(-1);
        break;
      case "]":
        stepDay(1);
        break;
      case "j":
      case "k":
      case "ArrowDown":
        // Nothing has the focus yet: give it to the table, and the key with it.
        if (document.activeElement !== document.body) return;
        document.querySelector<HTMLElement>(".main-table .grid")?.focus();
        document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key: event.key, bubbles: true, cancelable: true }));
        break;
      default:
        return;
    }
    event.preventDefault();
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}
