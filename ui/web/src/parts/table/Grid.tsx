// A table of rows of one height that draws only what is seen. Keyboard: arrows or j/k, Page Up/Down, Home, End,
// Enter or Space; → and ← open and close what a row holds. ↑ on the first row goes to the heads that sort: ← and → move
// there, Enter sorts, ↓ comes back. Else the focus stays on the grid and `aria-activedescendant`
// names the row, so a row may leave the drawing without taking the focus along.

import type { ComponentChildren, TargetedKeyboardEvent } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { reveal, visible } from "./window";

export const ROW_HEIGHT = 28;
const HEAD_HEIGHT = 32;

export interface Column<R> {
  key: string;
  label: string;
  /** Said in the head's tooltip. */
  hint?: string;
  /** A CSS grid track with its least width in px: `80px` or `minmax(200px, 1fr)`. */
  width: string;
  align?: "end";
  /** Name the server sorts by, if it can. */
  sort?: string;
  render: (row: R, index: number) => ComponentChildren;
}

export interface GridProps<R> {
  label: string;
  columns: readonly Column<R>[];
  rows: readonly R[];
  /** Rows there are in all, loaded or not. */
  total: number;
  keyOf: (row: R, index: number) => string;
  classOf?: (row: R) => string;
  levelOf?: (row: R) => number;
  /** Index of the row that the keyboard is on; -1 for none. */
  cursor: number;
  selected?: string;
  sort?: string;
  onCursor: (index: number) => void;
  /** The row under the pointer; -1 when it leaves. */
  onHover?: (index: number) => void;
  onOpen?: (index: number) => void;
  onExpand?: (index: number, open: boolean) => void;
  onSort?: (sort: string) => void;
  onNearEnd?: () => void;
  children?: ComponentChildren;
}

export function Grid<R>(props: GridProps<R>) {
  const { columns, rows, cursor } = props;
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    setHeight(element.clientHeight);
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const element = box.current;
    if (!element || cursor < 0) return;
    const to = reveal(cursor, element.scrollTop, element.clientHeight, ROW_HEIGHT, HEAD_HEIGHT);
    if (to !== undefined) element.scrollTop = to;
  }, [cursor, height]);

  const drawn = visible(top, height, ROW_HEIGHT, rows.length);
  useEffect(() => {
    if (drawn.end >= rows.length - 20) props.onNearEnd?.();
    // `rows`, not its length: another list of the same length, read from its end, has a next page of its own.
  }, [drawn.end, rows]);

  const page = Math.max(1, Math.floor((height - HEAD_HEIGHT) / ROW_HEIGHT) - 1);
  const move = (to: number) => {
    if (rows.length > 0) props.onCursor(Math.min(rows.length - 1, Math.max(0, to)));
  };
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLDivElement>) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const heads = [...event.currentTarget.querySelectorAll<HTMLElement>(".head button")];
    const head = heads.indexOf(event.target as HTMLElement);
    if (head >= 0) {
      const to = { ArrowRight: heads[head + 1], ArrowLeft: heads[head - 1], ArrowDown: event.currentTarget, Escape: event.currentTarget }[event.key];
      if (to) {
        to.focus();
        event.preventDefault();
        event.stopPropagation();
      }
      return;
    }
    switch (event.key) {
      case "j":
      case "ArrowDown":
        move(cursor + 1);
        break;
      case "k":
      case "ArrowUp":
        if (cursor === 0 && event.key === "ArrowUp") heads[0]?.focus();
        move(cursor < 0 ? 0 : cursor - 1);
        break;
      case "PageDown":
        move(cursor + page);
        break;
      case "PageUp":
        move(cursor - page);
        break;
      case "Home":
        move(0);
        break;
      case "End":
        move(rows.length - 1);
        break;
      case "Enter":
      case " ":
        if (cursor < 0) return;
        props.onOpen?.(cursor);
        break;
      case "ArrowRight":
      case "ArrowLeft":
        if (cursor < 0 || !props.onExpand) return;
        props.onExpand(cursor, event.key === "ArrowRight");
        break;
      default:
        return;
    }
    event.preventDefault();
  };

  const rowId = (index: number) => `${id}-row-${index}`;
  return (
    <div
      ref={box}
      class="grid"
      role="grid"
      tabIndex={0}
      aria-label={props.label}
      aria-rowcount={props.total + 1}
      aria-colcount={columns.length}
      aria-activedescendant={cursor >= drawn.first && cursor < drawn.end ? rowId(cursor) : undefined}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      onKeyDown={onKeyDown}
      onPointerLeave={props.onHover ? () => props.onHover?.(-1) : undefined}
      style={{ "--columns": columns.map((column) => column.width).join(" "), "--least": `${leastWidth(columns)}px` }}
    >
      <div class="grid-head" role="row" aria-rowindex={1}>
        {columns.map((column) => (
          <Head key={column.key} column={column} sort={props.sort ?? ""} onSort={props.onSort} />
        ))}
      </div>
      <div class="grid-body" role="rowgroup" style={{ height: `${rows.length * ROW_HEIGHT}px` }}>
        {rows.slice(drawn.first, drawn.end).map((row, offset) => {
          const index = drawn.first + offset;
          const key = props.keyOf(row, index);
          const level = props.levelOf?.(row);
          return (
            <div
              key={key}
              id={rowId(index)}
              role="row"
              aria-rowindex={index + 2}
              aria-selected={props.selected === undefined ? undefined : key === props.selected}
              aria-level={level}
              data-key={key}
              class={`grid-row ${index === cursor ? "at" : ""} ${index % 2 ? "odd" : ""} ${props.classOf?.(row) ?? ""}`}
              style={{ transform: `translateY(${index * ROW_HEIGHT}px)` }}
              onPointerEnter={props.onHover ? () => props.onHover?.(index) : undefined}
              onClick={() => {
                props.onCursor(index);
                props.onOpen?.(index);
              }}
            >
              {columns.map((column) => (
                <div key={column.key} role="gridcell" class={column.align === "end" ? "cell end" : "cell"} data-column={column.key}>
                  {column.render(row, index)}
                </div>
              ))}
            </div>
          );
        })}
      </div>
      {props.children}
    </div>
  );
}

/** Sum of the columns' least widths: rows are laid out one by one and must agree without looking at their content. */
function leastWidth(columns: readonly { width: string }[]): number {
  return columns.reduce((sum, column) => sum + Number(/\d+/.exec(column.width)?.[0] ?? 0), 0);
}

function Head<R>({ column, sort, onSort }: { column: Column<R>; sort: string; onSort: ((sort: string) => void) | undefined }) {
  const down = column.sort !== undefined && sort === `-${column.sort}`;
  const up = column.sort !== undefined && sort === column.sort;
  const state = up ? "ascending" : down ? "descending" : "none";
  const className = column.align === "end" ? "head end" : "head";
  if (!column.sort || !onSort) {
    return (
      <div role="columnheader" class={className} title={column.hint}>
        {column.label}
      </div>
    );
  }
  const name = column.sort;
  return (
    <div role="columnheader" class={className} aria-sort={state} title={column.hint}>
      <button type="button" tabIndex={-1} onClick={() => onSort(up ? `-${name}` : name)}>
        {column.label}
        <span class="arrow" aria-hidden="true">
          {up ? "▲" : down ? "▼" : ""}
        </span>
      </button>
    </div>
  );
}
