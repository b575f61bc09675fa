// Which rows of a long table are drawn: rows of one height, so it is arithmetic.

export interface Window {
  first: number;
  /** One past the last. */
  end: number;
}

/** The rows seen at `top`, with `spare` more on either side so that a fast scroll finds them there. */
export function visible(top: number, height: number, rowHeight: number, count: number, spare = 12): Window {
  const first = Math.max(0, Math.floor(top / rowHeight) - spare);
  const end = Math.min(count, Math.ceil((top + height) / rowHeight) + spare);
  return { first: Math.min(first, Math.max(0, count - 1)), end: Math.max(end, 0) };
}

/** Where to scroll so that row `index` is wholly seen; undefined if it is. `head` covers the top of the viewport. */
export function reveal(index: number, top: number, height: number, rowHeight: number, head: number): number | undefined {
  const start = index * rowHeight;
  if (start < top) return start;
  const end = start + rowHeight;
  const seen = height - head;
  if (end > top + seen) return Math.max(0, end - seen);
  return undefined;
}
