// Every page: its name in the address, its place in the navigation, the key after `g`, and how it is loaded. A page is
// a folder here with `Page.tsx` (a component that takes `at`) and its own styles; nothing of it is loaded before it is
// opened. To add one, add a line.

import type { FunctionComponent } from "preact";
import type { Role } from "../api/types";
import type { At } from "../app/route";

export interface PageProps {
  at: At;
}

/** A module whose `Page` is drawn. */
export interface PageModule {
  Page: FunctionComponent<PageProps>;
}

/** A link of the navigation. */
export interface Link {
  label: string;
  /** What follows the page in the path. */
  path: readonly string[];
  /** Key after `g`, or more of them; the first one is told. */
  key?: string;
}

export interface PageEntry {
  /** First part of the path: `#/name/…`. Never reused with another meaning. */
  name: string;
  /** For the browser's title. */
  title: (at: At) => string;
  /** Links of the navigation; none for pages that are reached from others. */
  links: readonly Link[];
  /** Who is shown the links; absent: everyone. The server decides who may. */
  least?: Role;
  /** Parameters that go along to another page of this kind: the day, the time range. */
  carries?: readonly string[];
  load: () => Promise<PageModule>;
}

/** Groups of links, in order, set apart by a line. */
export const SECTIONS: readonly (readonly PageEntry[])[] = [
  [
    {
      name: "suspicious",
      title: (at) => `Suspicious ${at.path[0] ?? "flow"} ${at.params["date"] ?? ""}`,
      links: [
        { label: "Flows", path: ["flow"], key: "f" },
        { label: "DNS", path: ["dns"], key: "d" },
        { label: "Proxy", path: ["proxy"], key: "p" },
      ],
      carries: ["date", "groups"],
      load: () => import("./suspicious/Page"),
    },
  ],
  [
    {
      name: "investigate",
      title: (at) => `Investigate ${at.params["subject"] ?? ""}`,
      // t as in Threat investigation, which is what Apache Spot calls it.
      links: [{ label: "Investigate", path: [], key: "it" }],
      load: () => import("./investigate/Page"),
    },
    {
      name: "storyboard",
      title: () => "Storyboard",
      links: [{ label: "Storyboard", path: [], key: "s" }],
      load: () => import("./storyboard/Page"),
    },
    { name: "ip", title: (at) => at.path.join("/"), links: [], load: () => import("./entity/Page") },
    { name: "name", title: (at) => at.path.join("/"), links: [], load: () => import("./entity/Page") },
    { name: "service", title: (at) => `Service ${at.path.join("/")}`, links: [], load: () => import("./service/Page") },
  ],
  [
    {
      name: "live",
      title: () => "Live",
      links: [{ label: "Live", path: [], key: "l" }],
      load: () => import("./live/Page"),
    },
    {
      name: "ingest",
      title: () => "Ingest summary",
      links: [{ label: "Ingest", path: [], key: "n" }],
      carries: ["from", "to"],
      load: () => import("./ingest/Page"),
    },
    {
      name: "sql",
      title: () => "SQL",
      links: [{ label: "SQL", path: [], key: "q" }],
      least: "analyst",
      load: () => import("./sql/Page"),
    },
    {
      name: "noise",
      title: () => "Noise",
      links: [{ label: "Noise", path: [], key: "r" }],
      load: () => import("./noise/Page"),
    },
    {
      name: "health",
      title: () => "Health",
      links: [{ label: "Health", path: [], key: "h" }],
      load: () => import("./health/Page"),
    },
    {
      name: "admin",
      title: () => "Admin",
      links: [{ label: "Admin", path: [] }],
      least: "admin",
      load: () => import("./admin/Page"),
    },
    {
      name: "account",
      title: () => "Account",
      links: [],
      load: () => import("./account/Page"),
    },
  ],
];

const PAGES = new Map(SECTIONS.flat().map((entry) => [entry.name, entry]));

/** The page of this name, if this application has it. */
export const pageOf = (name: string): PageEntry | undefined => PAGES.get(name);
