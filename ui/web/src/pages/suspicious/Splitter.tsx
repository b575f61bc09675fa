// The bar between table and details: drag it, or use the arrow keys on it. The height stays for the visit.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

const share = signal(46);
const clamp = (value: number) => Math.min(80, Math.max(20, value));

export function Splitter() {
  useEffect(() => {
    document.documentElement.style.setProperty("--details", `${share.value}%`);
  }, [share.value]);
  return (
    <div
      class="splitter"
      role="separator"
      aria-orientation="horizontal"
      aria-label="Height of the details"
      aria-valuenow={Math.round(share.value)}
      aria-valuemin={20}
      aria-valuemax={80}
      tabIndex={0}
      onKeyDown={(event) => {
        if (event.key === "ArrowUp") share.value = clamp(share.value + 4);
        else if (event.key === "ArrowDown") share.value = clamp(share.value - 4);
        else return;
        event.preventDefault();
      }}
      onPointerDown={(event) => {
        const bar = event.currentTarget;
        const area = bar.parentElement;
        if (!area) return;
        bar.setPointerCapture(event.pointerId);
        const move = (to: PointerEvent) => {
          const box = area.getBoundingClientRect();
          share.value = clamp(((box.bottom - to.clientY) / box.height) * 100);
        };
        bar.addEventListener("pointermove", move);
        bar.addEventListener("lostpointercapture", () => bar.removeEventListener("pointermove", move), { once: true });
      }}
    />
  );
}
