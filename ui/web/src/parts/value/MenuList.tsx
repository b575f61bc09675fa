// What can be done with a value: the query, other pages, copying; and what is known of it.

import { useLayoutEffect, useRef } from "preact/hooks";
import { route } from "../../app/route";
import { escapeText } from "../../text/hostile";
import { isDay } from "../../text/time";
import { Wire } from "../../text/Wire";
import { toast } from "../toast";
import { exclude, include, is, literal } from "./compose";
import { KnownOf } from "./Known";
import { placesOf } from "./links";
import { type Chosen, type Open, open } from "./Menu";
import { target } from "./target";

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

export function List({ now }: { now: Open }) {
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
