// Incident progression: a dendrogram from the subject over ways and contexts to hosts. Branches close and open; names lead
// to the pages about them. The same as a tree for the keyboard.

import type { BoardNode } from "../../api/types";
import { change, route } from "../../app/route";
import { Chart } from "../../parts/chart/Chart";
import { useWidth } from "../../parts/chart/useWidth";
import { valueHref } from "../../parts/subject/links";
import type { Range } from "../../parts/time/RangePicker";
import { escapeText } from "../../text/hostile";
import { bytes, count } from "../../text/units";

interface Placed {
  node: BoardNode;
  path: string;
  depth: number;
  y: number;
  parent: Placed | undefined;
  closed: boolean;
}

const ROW = 21;

/** Leaves stand one below the other; every other node in the middle of its children. */
function place(root: BoardNode, closed: ReadonlySet<string>): { nodes: Placed[]; height: number } {
  const nodes: Placed[] = [];
  let next = ROW / 2;
  const visit = (node: BoardNode, path: string, depth: number, parent: Placed | undefined): Placed => {
    const placed: Placed = { node, path, depth, y: 0, parent, closed: closed.has(path) };
    nodes.push(placed);
    const children = placed.closed ? [] : node.children.map((child, index) => visit(child, `${path}-${index}`, depth + 1, placed));
    if (!placed.closed && node.hidden > 0 && node.children.length > 0) {
      const more: BoardNode = { name: `and ${count(node.hidden)} more`, kind: "more", count: 0, bytes: 0, hidden: 0, children: [] };
      children.push(visit(more, `${path}-more`, depth + 1, placed));
    }
    const first = children[0];
    const last = children.at(-1);
    if (first && last) placed.y = (first.y + last.y) / 2;
    else {
      placed.y = next;
      next += ROW;
    }
    return placed;
  };
  visit(root, "r", 0, undefined);
  return { nodes, height: next + ROW / 2 };
}

function flatten(node: BoardNode, above: string[] = []): (string | number)[][] {
  const path = [...above, node.name];
  return [[path.join(" › "), node.count, node.bytes], ...node.children.flatMap((child) => flatten(child, path))];
}

export function Progression({ root, range }: { root: BoardNode; range: Range }) {
  const closed = new Set((route.value.params["closed"] ?? "").split(" "));
  const { box, width } = useWidth();
  const { nodes, height } = place(root, closed);
  const depth = Math.max(...nodes.map((node) => node.depth), 1);
  const column = (width - 190) / depth;
  const x = (level: number) => 14 + level * column;
  const toggle = (path: string) => {
    const next = new Set(closed);
    if (!next.delete(path)) next.add(path);
    change({ closed: [...next].join(" ").trim() }, "replace");
  };
  return (
    <Chart
      class="frame wide-frame"
      title="Incident progression"
      summary={`What ${escapeText(root.name, 80)} was in touch with: ${root.children.map((child) => `${child.name} ${count(child.count)} records`).join(", ")}.`}
      twin={{ columns: ["Path", "Records", "Bytes"], rows: flatten(root) }}
    >
      <div ref={box} class="dendrogram">
        <svg width={width} height={height}>
          {nodes.map(({ parent, y, depth: level, path }) =>
            parent ? <path key={path} class="branch" d={`M${x(parent.depth)} ${parent.y}C${x(parent.depth) + column / 2} ${parent.y} ${x(level) - column / 2} ${y} ${x(level)} ${y}`} /> : null,
          )}
          {nodes.map((placed) => (
            <NodeMark key={placed.path} placed={placed} x={x(placed.depth)} column={column} range={range} onToggle={() => toggle(placed.path)} />
          ))}
        </svg>
      </div>
    </Chart>
  );
}

function NodeMark({ placed, x, column, range, onToggle }: { placed: Placed; x: number; column: number; range: Range; onToggle: () => void }) {
  const { node, y, closed, depth } = placed;
  const has = node.children.length > 0;
  const to = valueHref(node.kind, node.name, range);
  const room = Math.max(8, Math.floor((has && depth > 0 ? column - 24 : 200) / 6.4));
  const name = escapeText(node.name, room);
  const size = node.kind === "more" ? "" : ` ${node.bytes > 0 ? bytes(node.bytes) : count(node.count)}`;
  const label = (
    <text class="label" x={x + 9} y={y + 4} text-anchor="start">
      {name}
      <tspan class="size">{size}</tspan>
    </text>
  );
  return (
    <g class={`node kind-${node.kind}`}>
      <title>{`${escapeText(node.name, 500)}: ${count(node.count)} records, ${bytes(node.bytes)}`}</title>
      {has ? (
        <circle
          class={closed ? "dot closed" : "dot"}
          cx={x}
          cy={y}
          r={5.5}
          tabindex={0}
          role="button"
          aria-expanded={!closed}
          aria-label={`${name}: ${closed ? "open" : "close"}`}
          onClick={onToggle}
          onKeyDown={(event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            onToggle();
          }}
        />
      ) : (
        <circle class="dot leaf" cx={x} cy={y} r={3.5} />
      )}
      {to ? <a href={to}>{label}</a> : label}
    </g>
  );
}
