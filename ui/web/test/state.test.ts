import { describe, expect, it } from "vitest";
import { address } from "../src/api/client";
import { type At, FIRST, format, href, parse, VERSION } from "../src/app/route";
import type { Day } from "../src/api/types";
import { display, usualZone } from "../src/app/settings";
import { fromSpot } from "../src/app/spot";
import { addressOf, viewOf } from "../src/pages/suspicious/view";
import { reveal, visible } from "../src/parts/table/window";
import { days, latest, neighbour } from "../src/parts/time/days";
import { monthGrid, moveMonth } from "../src/parts/time/month";
import { lastRange, shift } from "../src/parts/time/RangePicker";
import { opened } from "../src/parts/views/time";
import { clock, exact, readMoment, zoneLabel } from "../src/text/time";

describe("the address is the state", () => {
  const id = "0123456789abcdef0123456789abcdef";
  const place = (hash: string): At => {
    const { version: _, ...at } = parse(hash);
    return at;
  };
  it("gives every place back, whatever is in it", () => {
    const places: At[] = [
      FIRST,
      { page: "health", path: [], params: {} },
      { page: "address", path: ["2001:db8::1"], params: { from: "2016-07-08T00:00:00Z" } },
      { page: "address", path: ["a/b?c#d%zz é"], params: { filter: "a b&c=d#é/|\"\\" } },
    ];
    for (const at of places) expect(place(format(at))).toEqual(at);
  });
  it("is versioned: what it writes says so, and what is newer is known to be", () => {
    expect(format(FIRST)).toBe(`#/suspicious/flow?v=${VERSION}`);
    expect(parse("#/suspicious/dns").version).toBe(VERSION);
    expect(parse("#/suspicious/dns?v=7").version).toBe(7);
    expect(parse("#/suspicious/dns?v=x").version).toBe(VERSION);
    expect(href("live", [], { host: undefined, zone: "" })).toBe("#/live?v=1");
  });
  it("takes nothing for the first page", () => {
    for (const hash of ["", "#", "#/", "#?"]) expect(place(hash)).toEqual(FIRST);
    expect(place("#/%zz/%").page).toBe("%zz");
  });
  it("gives every view of the suspicious page back, and takes nonsense for its standard", () => {
    const standard = { source: "flow", date: "", filter: "", selected: "", sort: "", flat: false, cols: "", shows: "open", graph: false, hide: "", tab: "raw", anchor: "" } as const;
    const views = [
      standard,
      { ...standard, source: "dns", date: "2016-07-08", filter: 'qname ~ "a b&c"', selected: id, sort: "-src_bytes", flat: true, cols: "rank,qname", shows: "rated", graph: true, hide: "10.0.0.1 *.a b", tab: "around", anchor: "10.0.0.5" },
    ] as const;
    for (const view of views) expect(viewOf(place(addressOf(view)))).toEqual(view);
    expect(viewOf(place("#/suspicious/x?date=2016-13-01&selected=<img>&sort=a b&cols=A;"))).toEqual(standard);
  });
  it("understands Apache Spot's addresses", () => {
    const to = (search: string, hash: string) => {
      const at = fromSpot(search, hash);
      return at && format(at);
    };
    expect(to("?spot=dns", "#date=2016-07-08|filter=evil%2Eexample")).toBe("#/suspicious/dns?v=1&date=2016-07-08&filter=evil.example");
    expect(to("?spot=flow", "#date=2016-07-08")).toBe("#/suspicious/flow?v=1&date=2016-07-08");
    expect(to("?spot=flow", "#date=soon|filter=%zz")).toBe("#/suspicious/flow?v=1&filter=%25zz");
    expect(to("?spot=proxy&page=storyboard", "#date=2016-07-08")).toBe("#/storyboard/proxy?v=1&date=2016-07-08");
    expect(to("?spot=dns&page=threat-investigation", "#date=2016-07-08")).toBe("#/investigate/dns?v=1&date=2016-07-08");
    expect(to("?spot=ingest&page=ingest-summary", "#start-date=2016-07-01|end-date=2016-07-08|pipeline=dns")).toBe(
      "#/ingest/dns?v=1&from=2016-07-01T00%3A00%3A00Z&to=2016-07-09T00%3A00%3A00Z",
    );
    expect(to("", "#/health")).toBeUndefined();
  });
});

describe("times", () => {
  it("are shown in the zone that is chosen, to the microsecond, with the offset", () => {
    const time = "2016-07-08T22:15:01.123456Z";
    display.value = { ...display.value, zone: "utc" };
    expect([clock(time), exact(time)]).toEqual(["22:15:01.123", "2016-07-08 22:15:01.123456 UTC"]);
    display.value = { ...display.value, zone: "local" };
    const at = new Date(time);
    expect(clock(time)).toBe(`${at.toTimeString().slice(0, 8)}.123`);
    expect(exact(time)).toContain(".123456 UTC");
    display.value = { ...display.value, zone: "utc" };
  });
  it("are shown and read in a zone that is named, before and after its clocks change", () => {
    display.value = { ...display.value, zone: "Europe/Berlin" };
    expect([exact("2016-07-08T22:15:01.123456Z"), exact("2016-01-08T22:15:01.5Z")]).toEqual(["2016-07-09 00:15:01.123456 UTC+02:00", "2016-01-08 23:15:01.5 UTC+01:00"]);
    expect(zoneLabel()).toBe("Europe/Berlin");
    const read = (text: string) => readMoment(text)?.toISOString();
    expect([read("2016-07-09 00:15"), read("2016-01-08 23:15")]).toEqual(["2016-07-08T22:15:00.000Z", "2016-01-08T22:15:00.000Z"]);
    // In the morning of 27 March 2016 clocks went from 02:00 to 03:00.
    expect([read("2016-03-27 01:59"), read("2016-03-27 03:01")]).toEqual(["2016-03-27T00:59:00.000Z", "2016-03-27T01:01:00.000Z"]);
    display.value = { ...display.value, zone: "Asia/Kolkata" };
    expect([clock("2016-07-08T22:15:01Z"), zoneLabel()]).toEqual(["03:45:01", "UTC+05:30"]);
    display.value = { ...display.value, zone: "" };
    usualZone.value = "America/New_York";
    expect(exact("2016-07-08T22:15:01Z")).toBe("2016-07-08 18:15:01 UTC−04:00");
    // What this browser does not know is as if nobody had chosen.
    usualZone.value = "Mars/Olympus";
    expect(exact("2016-07-08T22:15:01Z")).toBe("2016-07-08 22:15:01 UTC");
    usualZone.value = "UTC";
    expect(zoneLabel()).toBe("UTC");
  });
  it("of a view that is saved are absolute when it is opened", () => {
    const day = (date: string, rows: number, scored: boolean): Day => {
      const one = { rows, scored: scored ? "run" : null } as unknown as Day["flow"];
      return { date, flow: one, dns: { ...one, rows: 0 }, proxy: { ...one, rows: 0 } } as Day;
    };
    days.value = [day("2016-07-10", 5, false), day("2016-07-09", 0, false), day("2016-07-08", 7, true), day("2016-07-07", 7, true)];
    expect(opened("v=1&groups=off&ago=0", "flow")).toEqual({ groups: "off", date: "2016-07-08" });
    expect(opened("v=1&ago=1", "flow")).toEqual({ date: "2016-07-07" });
    expect(opened("v=1&ago=9&sort=rank", "flow")).toEqual({ sort: "rank" });
    expect(opened("v=1&last=3600")).toEqual({ from: "2016-07-10T23:00:00Z", to: "2016-07-11T00:00:00Z" });
    expect(opened("v=1&date=2016-07-07&filter=a", "flow")).toEqual({ date: "2016-07-07", filter: "a" });
    days.value = undefined;
    expect(opened("v=1&ago=0&last=60&groups=off", "flow")).toEqual({ groups: "off" });
  });
  it("are read as they are typed", () => {
    display.value = { ...display.value, zone: "utc" };
    expect(readMoment("2016-07-08 10:15")?.toISOString()).toBe("2016-07-08T10:15:00.000Z");
    expect(readMoment("2016-07-08T10:15:30+02:00")?.toISOString()).toBe("2016-07-08T08:15:30.000Z");
    expect(readMoment("2016-07-08")?.toISOString()).toBe("2016-07-08T00:00:00.000Z");
    for (const bad of ["", "2016-02-30", "2016-07-08 24:00", "2016-07-08 10:60", "yesterday", "2016-07-08 10:15 +2"]) expect(readMoment(bad), bad).toBeUndefined();
    display.value = { ...display.value, zone: "local" };
    expect(readMoment("2016-07-08 10:15")?.getTime()).toBe(new Date(2016, 6, 8, 10, 15).getTime());
    display.value = { ...display.value, zone: "utc" };
  });
  it("of a range are absolute and move by its length", () => {
    const range = lastRange(new Date("2016-07-08T10:00:00Z"), 3_600_000);
    expect(range).toEqual({ from: "2016-07-08T09:00:00Z", to: "2016-07-08T10:00:00Z" });
    expect(shift(range, -1)).toEqual({ from: "2016-07-08T08:00:00Z", to: "2016-07-08T09:00:00Z" });
    expect(shift(shift(range, 1), -1)).toEqual(range);
  });
});

describe("addresses of the API", () => {
  it("escape what is put into them", () => {
    expect(address("/api/v1/record/{source}/{record_id}", { source: "flow", record_id: "../x", date: "2016-07-08" })).toBe(
      "/api/v1/record/flow/..%2Fx?date=2016-07-08",
    );
    expect(address("/a", { filter: "x&y=$&", none: undefined, empty: "" })).toBe("/a?filter=x%26y%3D%24%26");
  });
});

describe("days", () => {
  const source = (rows: number, scored: number | null = null) => ({ rows, bytes: 0, scored });
  const day = (date: string, flow: number, scored: number | null = null) => ({ date, flow: source(flow, scored), dns: source(0), proxy: source(0) });
  const days = [day("2016-07-09", 5), day("2016-07-08", 5, 3), day("2016-07-07", 0), day("2016-06-30", 1)];
  it("shows the latest scored day first", () => {
    expect(latest(days, "flow")).toBe("2016-07-08");
    expect(latest(days, "dns")).toBe("2016-07-09");
    expect(latest([], "flow")).toBe("");
  });
  it("steps over days without records", () => {
    expect(neighbour(days, "flow", "2016-07-08", -1)).toBe("2016-06-30");
    expect(neighbour(days, "flow", "2016-06-30", 1)).toBe("2016-07-08");
    expect(neighbour(days, "flow", "2016-07-09", 1)).toBeUndefined();
  });
  it("lays a month out from Monday", () => {
    const grid = monthGrid(days, "flow", "2016-07");
    expect(grid).toHaveLength(5);
    expect(grid[0]?.findIndex(Boolean)).toBe(4);
    expect(grid.flat().filter(Boolean)).toHaveLength(31);
    expect(grid.flat().find((cell) => cell?.date === "2016-07-08")).toMatchObject({ rows: 5, scored: true });
    expect(moveMonth("2016-12", 1)).toBe("2017-01");
    expect(moveMonth("2016-01", -1)).toBe("2015-12");
  });
});

describe("the window of a long table", () => {
  it("draws what is seen and a little more", () => {
    expect(visible(0, 280, 28, 100000, 5)).toEqual({ first: 0, end: 15 });
    expect(visible(28 * 1000, 280, 28, 100000, 5)).toEqual({ first: 995, end: 1015 });
    expect(visible(1e9, 280, 28, 10, 5)).toEqual({ first: 9, end: 10 });
    expect(visible(0, 280, 28, 0, 5)).toEqual({ first: 0, end: 0 });
  });
  it("scrolls as little as it must", () => {
    expect(reveal(0, 56, 300, 28, 32)).toBe(0);
    expect(reveal(3, 56, 300, 28, 32)).toBeUndefined();
    expect(reveal(20, 0, 300, 28, 32)).toBe(21 * 28 - 268);
  });
});
