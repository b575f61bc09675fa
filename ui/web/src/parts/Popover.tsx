// A button with a small panel below it. Closes by Esc, by a press outside, and by `close`.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

interface Props {
  /** Name of button and panel. */
  label: string;
  /** What the button shows; the label if left out. */
  sign?: ComponentChildren;
  class?: string;
  align?: "start" | "end";
  children: (close: () => void) => ComponentChildren;
}

export function Popover({ label, sign, class: className, align = "start", children }: Props) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useOutside(box, open, () => setOpen(false));
  const close = () => {
    setOpen(false);
    box.current?.querySelector("button")?.focus();
  };
  useEffect(() => {
    if (!open) return;
    // On the document: what had the focus may be gone (a button that was pressed and is disabled now).
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      event.preventDefault();
      close();
    };
    document.addEventListener("keydown", onKey, true);
    return () => document.removeEventListener("keydown", onKey, true);
  }, [open]);
  return (
    <div class="popover" ref={box}>
      <button
        type="button"
        class={className}
        aria-haspopup="dialog"
        aria-expanded={open}
        aria-label={sign === undefined ? undefined : label}
        title={sign === undefined ? undefined : label}
        onClick={() => setOpen(!open)}
      >
        {sign ?? label}
      </button>
      {open ? (
        <div class={`panel ${align}`} role="dialog" aria-label={label}>
          {children(close)}
        </div>
      ) : null}
    </div>
  );
}

/** Calls `leave` on a press outside of `box` while `active`. */
export function useOutside(box: { current: HTMLElement | null }, active: boolean, leave: () => void): void {
  useEffect(() => {
    if (!active) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) leave();
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [active]);
}
