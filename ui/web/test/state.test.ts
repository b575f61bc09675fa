import { describe, expect, it } from "vitest";
import { address } from "../src/api/client";
import { format, fromSpot, parse, type Route, suspicious } from "../src/app/route";
import { latest, monthGrid, moveMonth, neighbour } from "../src/suspicious/days";
import { reveal, visible } from "../src/table/window";

describe("the address is the state", () => {
  const id = "0123456789abcdef0123456789abcdef";
  it("gives every view back", () => {
    const routes: Route[] = [
      { page: "health" },
      suspicious("flow"),
      suspicious("dns", { date: "2016-07-08", filter: "a b&c=d#é/|", selected: id, sort: "-src_bytes", flat: true }),
      suspicious("proxy", { filter: "10.0.0.0/8" }),
    ];
    for (const route of routes) expect(parse(format(route))).toEqual(route);
  });
  it("takes nonsense for the first page", () => {
    for (const hash of ["", "#", "#/", "#/nowhere/at?all", "#/suspicious/x?date=2016-13-01&selected=<img>&sort=a b"]) {
      expect(parse(hash)).toEqual(suspicious("flow"));
    }
  });
  it("understands Apache Spot's addresses", () => {
    expect(fromSpot("?spot=dns", "#date=2016-07-08|filter=evil%2Eexample")).toEqual(
      suspicious("dns", { date: "2016-07-08", filter: "evil.example" }),
    );
    expect(fromSpot("?spot=flow", "#date=2016-07-08")).toEqual(suspicious("flow", { date: "2016-07-08" }));
    expect(fromSpot("?spot=flow", "#date=soon|filter=%zz")).toEqual(suspicious("flow", { filter: "%zz" }));
    expect(fromSpot("", "#/health")).toBeUndefined();
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
