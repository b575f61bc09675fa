import { render } from "preact";
import { useState } from "preact/hooks";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { me } from "../src/app/me";
import { useListed, useMirror, useParam } from "../src/app/param";
import { change, go, route } from "../src/app/route";
import { begun, opened } from "../src/parts/views/time";

const place = (params: Record<string, string>) => go({ page: "live", path: [], params }, "replace");
let box: HTMLElement;

function Mirrored() {
  const [text, setText] = useState("");
  useMirror("marks", text, (said) => setText(said.replace("gone", "").trim()), 10);
  return <input value={text} onInput={(event) => setText(event.currentTarget.value)} />;
}

function Chosen() {
  const [unit, setUnit] = useParam("unit", ["bytes", "packets"]);
  return <button type="button" onClick={() => setUnit(unit === "bytes" ? "packets" : "bytes")}>{unit}</button>;
}

describe("state in the address", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    box = document.createElement("div");
  });
  afterEach(() => {
    act(() => render(null, box));
    vi.useRealTimers();
  });
  const field = () => box.querySelector("input") as HTMLInputElement;
  const type = (text: string) => act(() => {
    field().value = text;
    field().dispatchEvent(new Event("input", { bubbles: true }));
  });
  const rest = () => act(() => void vi.advanceTimersByTime(20));

  it("is taken from the address, written when it rests, and follows a link", () => {
    place({ marks: "a b", from: "x" });
    act(() => render(<Mirrored />, box));
    expect([field().value, route.value.params]).toEqual(["a b", { marks: "a b", from: "x" }]);
    type("a b c");
    expect(route.value.params["marks"]).toBe("a b");
    rest();
    expect(route.value.params).toEqual({ marks: "a b c", from: "x" });
    act(() => change({ marks: "d" }));
    expect(field().value).toBe("d");
    type("");
    rest();
    expect(route.value.params).toEqual({ from: "x" });
  });
  it("loses from the address what is not there any more", () => {
    place({ marks: "a gone" });
    act(() => render(<Mirrored />, box));
    rest();
    expect([field().value, route.value.params["marks"]]).toEqual(["a", "a"]);
  });
  it("is written nowhere after its page has gone", () => {
    place({});
    act(() => render(<Mirrored />, box));
    type("late");
    act(() => render(null, box));
    vi.advanceTimersByTime(50);
    expect(route.value.params).toEqual({});
  });
  it("of a list has eight names at most, the oldest goes", () => {
    place({ tables: "a.b" });
    const seen: Record<string, boolean> = {};
    const put: Record<string, (on: boolean) => void> = {};
    const One = ({ name }: { name: string }) => {
      const [is, set] = useListed("tables", name);
      [seen[name], put[name]] = [is, set];
      return null;
    };
    act(() => render(<>{[..."abcdefghi"].map((name) => <One key={name} name={name} />)}</>, box));
    expect([seen["a"], seen["c"]]).toEqual([true, false]);
    act(() => put["a"]?.(false));
    expect(route.value.params["tables"]).toBe("b");
    for (const name of "cdefghi") act(() => put[name]?.(true));
    expect(route.value.params["tables"]).toBe("b.c.d.e.f.g.h.i");
    act(() => put["a"]?.(true));
    expect([route.value.params["tables"], seen["b"]]).toEqual(["c.d.e.f.g.h.i.a", false]);
  });
  it("of a choice is one of those there are, the usual one unsaid", () => {
    place({ unit: "<b>" });
    act(() => render(<Chosen />, box));
    expect(box.textContent).toBe("bytes");
    act(() => (box.firstElementChild as HTMLElement).click());
    expect([box.textContent, route.value.params["unit"]]).toEqual(["packets", "packets"]);
    act(() => (box.firstElementChild as HTMLElement).click());
    expect([box.textContent, route.value.params["unit"]]).toEqual(["bytes", undefined]);
  });
});

describe("a saved view", () => {
  const view = { id: 1, page: "ip", name: "n", owner: "o", shared: false, created: "", own: true, default: true, query: "v=1&flagged=on&from=2026-03-11T00%3A00%3A00Z&at=10.0.0.5&subject=x" };
  it("says what its page is about, and links begin with the rest of it", () => {
    expect(opened(view.query)).toEqual({ flagged: "on", from: "2026-03-11T00:00:00Z", at: "10.0.0.5", subject: "x" });
    me.value = { name: "o", role: "viewer", via: "session", zone: "UTC", views: [view], display: null };
    expect([begun("ip"), begun("name")]).toEqual([{ flagged: "on" }, {}]);
    me.value = undefined;
  });
});
