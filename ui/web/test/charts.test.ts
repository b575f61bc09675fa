import { describe, expect, test } from "vitest";
import { display } from "../src/app/settings";
import { ticks, timeTicks } from "../src/parts/chart/scale";
import { entityHref, exportHref, serviceHref, valueHref } from "../src/parts/subject/links";

const range = { from: "2016-07-08T00:00:00Z", to: "2016-07-09T00:00:00Z" };

describe("axes", () => {
  test("values stand at round steps up to the largest", () => {
    expect(ticks(95)).toEqual([0, 50, 100]);
    expect(ticks(100)).toEqual([0, 50, 100]);
    expect(ticks(7)).toEqual([0, 2, 4, 6, 8]);
    for (const most of [0.003, 1, 3, 999, 1e12]) expect(ticks(most).at(-1)).toBeGreaterThanOrEqual(most);
    expect(ticks(0)).toEqual([0]);
    expect(ticks(Number.NaN)).toEqual([0]);
  });

  test("times stand at round moments of the zone, never too many", () => {
    display.value = { ...display.value, zone: "utc" };
    const from = Date.parse("2016-07-08T00:00:30Z") / 1000;
    const labels = timeTicks(from, from + 86_400, 8).map((tick) => tick.label);
    expect(labels).toEqual(["03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "07-09"]);
    expect(timeTicks(from, from + 10 * 365 * 86_400, 6).length).toBeLessThanOrEqual(8);
    expect(timeTicks(from, from + 5, 6).map((tick) => tick.label)).toContain("00:00:31");
  });
});

describe("pages about one thing", () => {
  test("addresses and names have a page each, and nothing in a value breaks out of the link", () => {
    expect(entityHref("10.0.0.1", range)).toMatch(/^#\/ip\/10\.0\.0\.1\?/);
    expect(entityHref("2001:db8::1", range)).toMatch(/^#\/ip\/2001%3Adb8%3A%3A1\?/);
    expect(entityHref("a/b?c#d.example", range)).toMatch(/^#\/name\/a%2Fb%3Fc%23d\.example\?/);
    expect(serviceHref("tcp/445", range)).toMatch(/^#\/service\/tcp\/445\?/);
    expect(valueHref("text", "<b>", range)).toBeUndefined();
    expect(exportHref("flow", "csv", "a&format=x", range)).toContain("subject=a%26format%3Dx");
  });
});
