// The one menu of all values. It finds them by their data attributes, so that a table of thousands needs no handler of
// its own for each.

import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useKeys } from "../../app/keys";
import { route } from "../../app/route";
import { escapeText } from "../../text/hostile";
import { isDay } from "../../text/time";
import { Wire } from "../../text/Wire";
import { later } from "../later";
import { toast } from "../toast";
import { exclude, include, is, literal } from "./compose";
import { type Kind, placesOf } from "./links";
import { target } from "./target";

interface Chosen {
  field: string;
  value: string;
  kind: Kind;
}

interface Open {
  x: number;
  y: number;
  /** One: its actions. More: which of them. */
  values: readonly Chosen[];
  before: Element | null;
}

const KnownOf = later(() => import("./Known").then((code) => code.KnownOf), "what is known");

const open = signal<Open | undefined>(undefined);

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
  const row = document.activeElement?.closest(".grid, svg.tree, svg.chord")?.querySelector(".at");
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

function close(): void {
  const before = open.value?.before;
  open.value = undefined;
  if (before?.isConnected) (before as HTMLElement | SVGElement).focus();
}

interface Item {
  label: string;
  hint?: string;
  href?: string;
  run?: () => void;
}

function itemsOf({ field, value, kind }: Chosen): Item[][] {
  const on = target.value;
  const filter: Item[] = [];
  if (on?.knows(field)) {
    const apply = (query: string) => () => on.apply(query);
    filter.push(
      { label: "Include", hint: `and ${escapeText(is(field, value), 60)}`, run: apply(include(on.query, field, value)) },
      { label: "Exclude", hint: `and ${field} != …`, run: apply(exclude(on.query, field, value)) },
      { label: "Only this", hint: "instead of the query there is", run: apply(is(field, value)) },
      { label: "Only this, in a new tab", href: on.address(is(field, value)) },
    );
  }
  if (on) filter.push({ label: "This value in any field", run: () => on.apply(literal(value)) });
  const date = route.value.params["date"] ?? "";
  const places = placesOf(kind, value, isDay(date) ? date : "");
  const more = on?.extra?.(field, value).map((action) => ({ ...action })) ?? [];
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      toast({ text: "Copied" });
    } catch {
      toast({ text: "The browser does not let this page copy. Mark the text and copy it by hand.", tone: "bad" });
    }
  };
  return [filter, more, places, [{ label: "Copy", run: () => void copy() }]].filter((group) => group.length > 0);
}

function List({ now }: { now: Open }) {
  const box = useRef<HTMLDivElement>(null);
  const one = now.values.length === 1 ? now.values[0] : undefined;
  // It grows away from where it was opened: what is known comes later, and no action may move from under the pointer.
  const up = now.y > innerHeight / 2;
  const known = one && (one.kind === "ip" || one.kind === "name") ? <KnownOf key={one.value} value={one.value} /> : null;
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const { width, height } = element.getBoundingClientRect();
    element.style.left = `${Math.max(4, Math.min(now.x, innerWidth - width - 8))}px`;
    element.style[up ? "bottom" : "top"] = `${Math.max(4, Math.min(up ? innerHeight - now.y : now.y, innerHeight - height - 8))}px`;
    element.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const outside = (event: Event) => {
      if (event.target instanceof Node && !element.contains(event.target)) open.value = undefined;
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation();
    const items = [...(box.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    switch (event.key) {
      case "ArrowDown":
      case "j":
        items[(at + 1) % items.length]?.focus();
        break;
      case "ArrowUp":
      case "k":
        items[(at - 1 + items.length) % items.length]?.focus();
        break;
      case "Home":
        items[0]?.focus();
        break;
      case "End":
        items.at(-1)?.focus();
        break;
      case "Escape":
      case "Tab":
        close();
        break;
      default:
        return;
    }
    event.preventDefault();
  };
  return (
    <div ref={box} class="value-menu" role="menu" aria-label={one ? `Actions for ${one.field}` : "Values of this row"} onKeyDown={onKeyDown}>
      {one ? (
        <>
          <p class="menu-head">
            {one.field} <Wire text={one.value} limit={80} class="mono" />
          </p>
          {up && known}
          {itemsOf(one).map((group, at) => (
            <div key={at} role="group">
              {group.map((item) =>
                item.href ? (
                  <a key={item.label} role="menuitem" tabIndex={-1} href={item.href} target={item.label.endsWith("new tab") ? "_blank" : undefined} rel="noopener" onClick={() => (open.value = undefined)}>
                    {item.label}
                  </a>
                ) : (
                  <button
                    key={item.label}
                    type="button"
                    role="menuitem"
                    tabIndex={-1}
                    onClick={() => {
                      close();
                      item.run?.();
                    }}
                  >
                    {item.label}
                    {item.hint ? <span class="quiet">{item.hint}</span> : null}
                  </button>
                ),
              )}
            </div>
          ))}
          {!up && known}
        </>
      ) : (
        <div role="group">
          {now.values.map((value) => (
            <button key={`${value.field} ${value.value}`} type="button" role="menuitem" tabIndex={-1} onClick={() => (open.value = { ...now, values: [value] })}>
              {value.field}
              <Wire text={value.value} limit={60} class="mono quiet" />
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
