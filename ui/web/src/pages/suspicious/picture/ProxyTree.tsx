// Root → Method → Host → Path → Client, to be opened and closed: a double click or Enter on a branch, on the root for all
// of it. The way to the selected record is drawn in yellow. A right click opens the menu of a path or client.

import { hierarchy, tree } from "d3-hierarchy";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useMirror } from "../../../app/param";
import { Chart } from "../../../parts/chart/Chart";
import { escapeText } from "../../../text/hostile";
import { count } from "../../../text/units";
import { hovered, lit } from "../highlight";
import type { Row } from "../list";
import { show } from "../view";
import { type Branch, idsOf, LEVELS, treeOf, wayTo } from "./tree";
import { type Frame, usePanZoom } from "./usePanZoom";

interface Props {
  rows: readonly Row[];
  selected: string;
}

const LINE = 20;
const STEP = [80, 90, 210, 250];
/** Branches drawn at a time; what is behind is said. */
const MOST = 400;
/** Open branches that the address says. */
const SAID = 100;
const NONE: ReadonlySet<string> = new Set();
/** Room left of the root, and right of the clients for their names. */
const LEFT = 24;
const RIGHT = 130;
const HEADS = ["", "Method", "Host", "Path", "Client"];

interface Placed {
  branch: Branch;
  x: number;
  y: number;
  depth: number;
  parent: Placed | undefined;
}

export function ProxyTree({ rows, selected }: Props) {
  const root = useMemo(() => treeOf(rows), [rows]);
  const [open, setOpen] = useState<ReadonlySet<string>>(() => standard(root));
  const said = namesOf(root, open);
  useMirror("branches", said.length > SAID ? said.slice(0, SAID).join(" ") : said.join(" "), (text) => setOpen(text === "" ? standard(root) : new Set([root.id, ...text.split(" ")])));
  const [at, setAt] = useState("");
  const { frame, setFrame, box, pan, by, key } = usePanZoom({ x: LEFT, y: 0, k: 1 });
  const way = useMemo(() => new Set(wayTo(root, selected || hovered.value)), [root, selected, hovered.value]);
  useEffect(() => {
    if (selected) setOpen((now) => new Set([...now, ...wayTo(root, selected)]));
  }, [root, selected]);
  const moved = useRef(false);
  const { placed, left } = useMemo(() => lay(root, open), [root, open]);

  // Until someone moves it, the root stands in the middle of the left edge.
  useLayoutEffect(() => {
    if (!moved.current && box.current) setFrame(across(box.current, 0));
  }, [placed.length === 0]);

  const toggle = (branch: Branch) => {
    const next = new Set(open);
    if (branch.level === "root") setOpen(idsOf(root).every((id) => open.has(id)) ? standard(root) : new Set(idsOf(root)));
    else {
      if (next.has(branch.id)) for (const id of idsOf(branch)) next.delete(id);
      else next.add(branch.id);
      setOpen(next);
    }
  };
  const pick = (branch: Branch) => {
    setAt(branch.id);
    if (branch.level === "client" || branch.level === "path") show({ selected: branch.rows[0] ?? "" }, "replace");
  };
  const over = (branch: Branch | undefined) => {
    lit.value = branch && branch.level !== "root" ? new Set(branch.rows) : NONE;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const index = Math.max(0, placed.findIndex((one) => one.branch.id === at));
    const now = placed[index];
    if (!now) return;
    const go = (to: Placed | undefined) => {
      if (!to) return;
      setAt(to.branch.id);
      over(to.branch);
      reveal(to);
    };
    if (event.key === "ArrowDown") go(placed[index + 1]);
    else if (event.key === "ArrowUp") go(placed[index - 1]);
    else if (event.key === "ArrowRight") {
      if (now.branch.children.length > 0 && !open.has(now.branch.id)) toggle(now.branch);
      else go(placed.find((one) => one.parent === now));
    } else if (event.key === "ArrowLeft") {
      if (open.has(now.branch.id) && now.branch.children.length > 0 && now.branch.level !== "root") toggle(now.branch);
      else go(now.parent);
    } else if (event.key === "Enter") {
      if (now.branch.level === "client") pick(now.branch);
      else toggle(now.branch);
    } else if (!key(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  };
  // A record that is selected elsewhere is brought into sight, once.
  const seen = useRef("");
  useLayoutEffect(() => {
    const leaf = selected && selected !== seen.current ? placed.find((one) => one.branch.level === "client" && way.has(one.branch.id)) : undefined;
    if (!leaf) return;
    seen.current = selected;
    moved.current = true;
    reveal(leaf);
  }, [selected, placed, way]);
  const reveal = ({ x, y }: Placed) => {
    const element = box.current;
    if (!element) return;
    const [sx, sy] = [x * frame.k + frame.x, y * frame.k + frame.y];
    if (sx > 20 && sx < element.clientWidth - 120 && sy > 20 && sy < element.clientHeight - 20) return;
    setFrame(across(element, y));
  };

  return (
    <Chart
      title="Requests"
      class="picture"
      summary={`The ${count(root.rows.length)} requests that are loaded, by method, host, path and client`}
      twin={{ columns: ["Method", "Host", "Path", "Client", "Rows", "Best rank"], rows: flat(root) }}
      tools={
        <>
          {left > 0 ? <span class="legend">{count(left)} more are not drawn</span> : null}
          {said.length > SAID ? <span class="legend" title="Whoever opens a link finds the others closed">{SAID} of {count(said.length)} open branches are in the address</span> : null}
          <button type="button" class="small" onClick={() => setOpen(new Set(idsOf(root)))}>
            Open all
          </button>
          <button type="button" class="small" onClick={() => setOpen(standard(root))}>
            Close
          </button>
          <button type="button" class="small" aria-label="Zoom in" onClick={() => by(1.25)}>
            +
          </button>
          <button type="button" class="small" aria-label="Zoom out" onClick={() => by(0.8)}>
            −
          </button>
        </>
      }
    >
      <div class="stage" ref={box} onPointerDown={(event) => !(event.target instanceof Element && event.target.closest(".branch")) && ((moved.current = true), pan(event))}>
        <svg
          class="tree"
          role="tree"
          aria-label="Requests by method, host, path and client"
          tabindex={0}
          aria-activedescendant={placed.some((one) => one.branch.id === at) ? nameOf(placed, at) : undefined}
          onKeyDown={onKeyDown}
          onPointerLeave={() => over(undefined)}
        >
          <g transform={`translate(${frame.x} ${frame.y}) scale(${frame.k})`}>
            {placed.map(({ branch, x, y, parent }) =>
              parent ? (
                <path
                  key={branch.id}
                  class={`twig ${way.has(branch.id) ? "way" : branch.band}`}
                  d={`M${parent.x} ${parent.y}C${(parent.x + x) / 2} ${parent.y} ${(parent.x + x) / 2} ${y} ${x} ${y}`}
                />
              ) : null,
            )}
            {placed.map((one, index) => (
              <Leaf key={one.branch.id} id={`branch-${index}`} one={one} open={open.has(one.branch.id)} way={way.has(one.branch.id)} at={one.branch.id === at} onToggle={toggle} onPick={pick} onOver={over} />
            ))}
          </g>
        </svg>
      </div>
    </Chart>
  );
}

/** From the root to the clients' names, with the branch at `y` in the middle. */
function across({ clientWidth, clientHeight }: Element, y: number): Frame {
  const whole = STEP.reduce((sum, step) => sum + step, LEFT + RIGHT);
  const k = Math.min(1, Math.max(0.55, clientWidth / whole));
  return { x: LEFT, y: clientHeight / 2 - y * k, k };
}

interface LeafProps {
  id: string;
  one: Placed;
  open: boolean;
  way: boolean;
  at: boolean;
  onToggle: (branch: Branch) => void;
  onPick: (branch: Branch) => void;
  onOver: (branch: Branch) => void;
}

function Leaf({ id, one: { branch, x, y, depth }, open, way, at, onToggle, onPick, onOver }: LeafProps) {
  const inner = branch.children.length > 0;
  const text = escapeText(branch.name, branch.level === "path" ? 34 : 28);
  const hidden = inner && !open ? ` ${count(branch.children.length)}` : "";
  return (
    <g
      id={id}
      class={`branch ${branch.band}${way ? " way" : ""}${at ? " at" : ""}`}
      role="treeitem"
      aria-level={depth + 1}
      aria-expanded={inner ? open : undefined}
      aria-selected={at}
      aria-label={`${HEADS[depth] ?? ""} ${text}${hidden}, ${count(branch.rows.length)} rows`}
      transform={`translate(${x} ${y})`}
      {...(branch.field ? { "data-field": branch.field, "data-value": branch.value, "data-kind": branch.level === "client" ? "ip" : branch.level === "host" ? "name" : "text" } : {})}
      onClick={() => onPick(branch)}
      onDblClick={(event) => {
        event.preventDefault();
        onToggle(branch);
      }}
      onPointerEnter={() => onOver(branch)}
    >
      <title>{`${escapeText(branch.name, 500)}\n${count(branch.rows.length)} rows, best rank ${count(branch.rank)}`}</title>
      <circle r={inner && !open ? 5 : 4} class={inner && !open ? "closed" : ""} />
      <text x={8} dominant-baseline="central">
        {text}
        {hidden ? <tspan class="many">{hidden}</tspan> : null}
      </text>
    </g>
  );
}

const nameOf = (placed: readonly Placed[], id: string) => `branch-${placed.findIndex((one) => one.branch.id === id)}`;

/** The open branches as the address says them; nothing where they are those that are open at first, and a word for none. */
function namesOf(root: Branch, open: ReadonlySet<string>): string[] {
  const usual = standard(root);
  const now = [...open].filter((id) => id !== root.id);
  if (now.length === usual.size - 1 && now.every((id) => usual.has(id))) return [];
  return now.length === 0 ? ["none"] : now;
}

/** Root and methods are open, hosts are seen. */
function standard(root: Branch): ReadonlySet<string> {
  return new Set([root.id, ...root.children.map((child) => child.id)]);
}

/** Places of the branches that are seen, in reading order, and how many were left out. */
function lay(root: Branch, open: ReadonlySet<string>): { placed: Placed[]; left: number } {
  let room = MOST;
  let left = 0;
  const children = (branch: Branch): Branch[] => {
    if (!open.has(branch.id)) return [];
    const best = [...branch.children].sort((a, b) => a.rank - b.rank);
    const shown = best.slice(0, Math.max(0, room));
    room -= shown.length;
    left += best.length - shown.length;
    return shown;
  };
  const laid = tree<Branch>().nodeSize([LINE, 1]).separation(() => 1)(hierarchy(root, children));
  const places = new Map<object, Placed>();
  const placed: Placed[] = [];
  laid.eachBefore((node) => {
    const x = STEP.slice(0, node.depth).reduce((sum, step) => sum + step, 0);
    const one: Placed = { branch: node.data, x, y: node.x, depth: node.depth, parent: node.parent ? places.get(node.parent) : undefined };
    places.set(node, one);
    placed.push(one);
  });
  return { placed, left };
}

/** Every client of every path, for the table. */
function flat(root: Branch): (string | number)[][] {
  const out: (string | number)[][] = [];
  const walk = (at: Branch, names: string[]) => {
    if (at.level === LEVELS.at(-1)) out.push([...names, at.name, at.rows.length, at.rank]);
    else for (const child of at.children) walk(child, at.level === "root" ? names : [...names, at.name]);
  };
  walk(root, []);
  return out.sort((a, b) => Number(a.at(-1)) - Number(b.at(-1)));
}
