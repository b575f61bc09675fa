// Moves and scales a drawing: drag, wheel, + and −, 0. The same for canvas and SVG.

import { useEffect, useRef, useState } from "preact/hooks";

export interface Frame {
  /** Shift in px, and scale. */
  x: number;
  y: number;
  k: number;
}

const LEAST = 0.1;
const MOST = 8;

export function zoomed({ x, y, k }: Frame, factor: number, cx: number, cy: number): Frame {
  const next = Math.min(MOST, Math.max(LEAST, k * factor));
  return { k: next, x: cx - ((cx - x) * next) / k, y: cy - ((cy - y) * next) / k };
}

export function usePanZoom(start: Frame) {
  const [frame, setFrame] = useState(start);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const { left, top } = element.getBoundingClientRect();
      setFrame((now) => zoomed(now, 1.0015 ** -event.deltaY, event.clientX - left, event.clientY - top));
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
    // Each time: the box is another one after the table was shown instead.
  });
  /** Follows the pointer from a press on the ground. */
  const pan = (event: PointerEvent) => {
    const element = box.current;
    if (!element || event.button !== 0) return;
    let [x, y] = [event.clientX, event.clientY];
    const move = (to: PointerEvent) => {
      const [dx, dy] = [to.clientX - x, to.clientY - y];
      [x, y] = [to.clientX, to.clientY];
      setFrame((now) => ({ ...now, x: now.x + dx, y: now.y + dy }));
    };
    const stop = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", stop);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", stop);
  };
  const by = (factor: number) => {
    const element = box.current;
    if (element) setFrame((now) => zoomed(now, factor, element.clientWidth / 2, element.clientHeight / 2));
  };
  /** Takes the keys of zooming; true if it did. */
  const key = (name: string): boolean => {
    if (name === "+" || name === "=") by(1.25);
    else if (name === "-") by(0.8);
    else if (name === "0") setFrame(start);
    else return false;
    return true;
  };
  return { frame, setFrame, box, pan, by, key };
}
