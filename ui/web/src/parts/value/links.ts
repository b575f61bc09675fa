// Where a value can be looked at by itself. A page that is not there is not offered.

import { type At, format } from "../../app/route";
import { pageOf } from "../../pages/registry";

/** What a value is. */
export type Kind = "ip" | "name" | "port" | "text";

interface Place {
  label: string;
  kinds: readonly Kind[];
  at: (value: string, date: string) => At;
}

/** Add a line for a page that shows one value. `date` is the day that is shown, or empty. */
const PLACES: readonly Place[] = [
  { label: "Everything about this address", kinds: ["ip"], at: (value, date) => ({ page: "ip", path: [value], params: { date } }) },
  { label: "Everything about this name", kinds: ["name"], at: (value, date) => ({ page: "name", path: [value], params: { date } }) },
  { label: "Everything about this service", kinds: ["port"], at: (value, date) => ({ page: "service", path: ["tcp", value], params: { date } }) },
  { label: "Investigate", kinds: ["ip", "name"], at: (value, date) => ({ page: "investigate", path: [], params: { subject: value, date } }) },
];

export function placesOf(kind: Kind, value: string, date: string): { label: string; href: string }[] {
  return PLACES.filter((place) => place.kinds.includes(kind)).flatMap((place) => {
    const at = place.at(value, date);
    return pageOf(at.page) ? [{ label: place.label, href: format(at) }] : [];
  });
}
