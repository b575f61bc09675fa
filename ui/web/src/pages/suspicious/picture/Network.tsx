// Who with whom, as a graph of forces. Hover lights up the rows and fades the rest; a click draws what surrounds the
// node; a right click filters by it. By keyboard: arrows go from node to node by rank, Enter, f, e and h act.

import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { asApiError, get } from "../../../api/client";
import { useMirror } from "../../../app/param";
import { display } from "../../../app/settings";
import { Chart } from "../../../parts/chart/Chart";
import { isAddress } from "../../../parts/subject/links";
import { toast } from "../../../parts/toast";
import { include } from "../../../parts/value/compose";
import { escapeText } from "../../../text/hostile";
import type { Source } from "../../../text/source";
import { type Band, count } from "../../../text/units";
import { Wire } from "../../../text/Wire";
import { hovered, lit } from "../highlight";
import type { Row } from "../list";
import { show } from "../view";
import { type Graph, graphOf, hubs, type Neighbour, type Node, radius } from "./graph";
import type { Positions } from "./layout.worker";
import { type Frame, usePanZoom } from "./usePanZoom";
import { layoutWorker } from "./worker";

interface Props {
  source: Source;
  date: string;
  rows: readonly Row[];
  selected: string;
  query: string;
  hide: string;
}

/** Names drawn beside nodes at first glance. */
const LABELS = 22;
/** Nodes with their neighbours that the address says. */
const GROWN = 20;
const NONE: ReadonlySet<string> = new Set();
/** Colours that the styles give to the canvas. */
const INKS = ["extreme", "high", "raised", "usual", "line", "accent", "surface", "text", "quiet"];

const split = (hide: string) => new Set(hide.split(" ").filter(Boolean));

export function Network({ source, date, rows, selected, query, hide }: Props) {
  const hidden = useMemo(() => split(hide), [hide]);
  const [neighbours, setNeighbours] = useState<readonly Neighbour[]>([]);
  const grown = [...new Set(neighbours.map((one) => one.of))];
  useMirror("grown", grown.slice(0, GROWN).join(" "), (text) => {
    // One after the other: a neighbour may have been added to a neighbour.
    const each = text.split(" ").filter(Boolean).slice(0, GROWN).map((id) => expanded(source, id, date));
    Promise.all(each).then((found) => setNeighbours(found.flat()), failed);
  });
  const graph = useMemo(() => graphOf(rows, hidden, neighbours), [rows, hidden, neighbours]);
  const many = useMemo(() => hubs(graph), [graph]);
  const { positions, settled, drag, release } = useLayout(graph);
  const { frame, setFrame, box, pan, by, key } = usePanZoom({ x: 0, y: 0, k: 1 });
  const [over, setOver] = useState<number>();
  const [at, setAt] = useState(-1);
  const canvas = useRef<HTMLCanvasElement | null>(null);
  // While its table is shown there is no canvas: the next one is drawn anew.
  const [mounts, setMounts] = useState(0);
  const attach = useCallback((element: HTMLCanvasElement | null) => {
    canvas.current = element;
    if (element) setMounts((count) => count + 1);
  }, []);
  const touched = useRef(false);

  // Until someone moves it, the drawing fits its frame.
  useLayoutEffect(() => {
    if (touched.current || !positions || !box.current) return;
    setFrame(fitting(positions, box.current.clientWidth, box.current.clientHeight));
  }, [positions]);

  const chosen = at >= 0 && at < graph.nodes.length ? at : undefined;
  const light = over ?? chosen;
  const node = light === undefined ? undefined : graph.nodes[light];
  useEffect(() => {
    lit.value = over === undefined ? NONE : new Set(graph.nodes[over]?.rows);
    return () => void (lit.value = NONE);
  }, [over, graph]);

  const rowLit = hovered.value || selected;
  useLayoutEffect(() => {
    if (canvas.current && positions) draw(canvas.current, graph, positions, frame, light, rowLit);
  }, [graph, positions, frame, light, rowLit, display.value, box.current?.clientWidth, mounts]);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      if (positions && !touched.current) setFrame(fitting(positions, element.clientWidth, element.clientHeight));
      else setFrame((now) => ({ ...now }));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [positions, mounts]);

  const find = (event: MouseEvent): number | undefined => {
    const element = canvas.current;
    if (!element || !positions) return undefined;
    const area = element.getBoundingClientRect();
    const [x, y] = [(event.clientX - area.left - frame.x) / frame.k, (event.clientY - area.top - frame.y) / frame.k];
    let best: number | undefined;
    let least = Number.POSITIVE_INFINITY;
    graph.nodes.forEach((other, index) => {
      const distance = Math.hypot((positions[2 * index] ?? 0) - x, (positions[2 * index + 1] ?? 0) - y);
      if (distance < radius(other) + 5 / frame.k && distance < least) [best, least] = [index, distance];
    });
    return best;
  };
  const filter = (of: Node) => show({ filter: include(query, of.field, of.id) });
  const around = (of: Node) => {
    const row = rows.find((other) => other.record_id === of.rows[0]);
    if (row && of.field !== "qname") show({ selected: row.record_id, tab: "around", anchor: of.id }, "replace");
    else if (row) show({ selected: row.record_id }, "replace");
  };
  const setHidden = (ids: ReadonlySet<string>) => show({ hide: [...ids].join(" ") }, "replace");
  const hideNode = (of: Node) => {
    setHidden(new Set([...hidden, of.id]));
    setAt(-1);
    setOver(undefined);
  };
  const expand = async (of: Node) => {
    try {
      const found = await expanded(source, of.id, date);
      setNeighbours([...neighbours.filter((other) => other.of !== of.id), ...found]);
      if (found.length === 0) toast({ text: "The raw records of the day know no more neighbours." });
      else if (grown.length >= GROWN && !grown.includes(of.id)) toast({ text: `The address says the neighbours of ${GROWN} nodes: those of ${escapeText(of.id, 60)} are shown here, and not by a link.` });
    } catch (error) {
      failed(error);
    }
  };

  const press = (event: PointerEvent) => {
    const found = find(event);
    touched.current = true;
    if (found === undefined) {
      pan(event);
      return;
    }
    if (event.button !== 0) return;
    const element = canvas.current;
    if (!element) return;
    let moved = 0;
    const area = element.getBoundingClientRect();
    const move = (to: PointerEvent) => {
      moved += Math.abs(to.movementX) + Math.abs(to.movementY);
      if (moved > 3) drag(found, (to.clientX - area.left - frame.x) / frame.k, (to.clientY - area.top - frame.y) / frame.k);
    };
    const stop = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", stop);
      if (moved > 3) release(found);
      else {
        setAt(found);
        const pressed = graph.nodes[found];
        if (pressed) around(pressed);
      }
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", stop);
  };
  const order = useMemo(() => graph.nodes.map((_, index) => index).sort((a, b) => (graph.nodes[a]?.rank ?? 0) - (graph.nodes[b]?.rank ?? 0)), [graph]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const now = chosen === undefined ? -1 : order.indexOf(chosen);
    const picked = chosen === undefined ? undefined : graph.nodes[chosen];
    if (event.key === "ArrowRight" || event.key === "ArrowDown") setAt(order[(now + 1) % order.length] ?? -1);
    else if (event.key === "ArrowLeft" || event.key === "ArrowUp") setAt(order[(now - 1 + order.length) % order.length] ?? -1);
    else if (key(event.key)) touched.current = true;
    else if (event.key === "Escape" && chosen !== undefined) setAt(-1);
    else if (picked && event.key === "Enter") around(picked);
    else if (picked && event.key === "f") filter(picked);
    else if (picked && event.key === "e") void expand(picked);
    else if (picked && event.key === "h") hideNode(picked);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const vector = async (): Promise<string> => {
    const { SvgPen } = await import("./svgPen");
    const [element, context] = [canvas.current, canvas.current?.getContext("2d")];
    if (!element || !context || !positions) throw new Error("Nothing is drawn yet.");
    context.save();
    const pen = new SvgPen(element.clientWidth, element.clientHeight, getComputedStyle(document.body).backgroundColor, context);
    paint(pen, element, graph, positions, frame, light, rowLit);
    context.restore();
    return pen.text();
  };

  const title = source === "flow" ? "Network view" : "Clients and names";
  return (
    <Chart
      title={title}
      class="picture"
      vector={vector}
      summary={`${count(graph.nodes.length)} nodes and ${count(graph.links.length)} links of the ${count(rows.length)} rows that are loaded`}
      twin={{
        columns: source === "flow" ? ["Address", "Address", "Rows", "Best rank", "Surprise, bits"] : ["Client", "Name", "Rows", "Best rank", "Surprise, bits"],
        rows: [...graph.links]
          .sort((a, b) => a.rank - b.rank)
          .map((link) => [graph.nodes[link.source]?.id ?? "", graph.nodes[link.target]?.id ?? "", link.rows.length, Number.isFinite(link.rank) ? link.rank : null, Math.round(link.bits * 10) / 10]),
      }}
      tools={
        <>
          <span class="legend">
            {source === "flow" ? "◆ internal ● external" : "◆ name ● client"}
          </span>
          {many.length > 0 || hidden.size > 0 ? (
            <button type="button" class="small" aria-pressed={hidden.size > 0} title={many.length ? `Hide what everything hangs on: ${many.slice(0, 5).map((id) => escapeText(id, 60)).join(", ")}` : "Show what was hidden"} onClick={() => setHidden(hidden.size > 0 ? NONE : new Set(many))}>
              {hidden.size > 0 ? `${hidden.size} hidden` : "Hide hubs"}
            </button>
          ) : null}
          <button type="button" class="small" aria-label="Zoom in" onClick={() => ((touched.current = true), by(1.25))}>
            +
          </button>
          <button type="button" class="small" aria-label="Zoom out" onClick={() => ((touched.current = true), by(0.8))}>
            −
          </button>
          <button
            type="button"
            class="small"
            onClick={() => {
              touched.current = false;
              if (positions && box.current) setFrame(fitting(positions, box.current.clientWidth, box.current.clientHeight));
            }}
          >
            Fit
          </button>
        </>
      }
    >
      <div
        class="stage"
        ref={box}
        role="application"
        aria-label={`${title}: arrows go from node to node, Enter draws what surrounds it, f filters by it, e adds its neighbours, h hides it`}
        tabIndex={0}
        data-settled={settled}
        onKeyDown={onKeyDown}
        onPointerDown={press}
        onPointerMove={(event) => event.buttons === 0 && setOver(find(event))}
        onPointerLeave={() => setOver(undefined)}
        onContextMenu={(event) => {
          event.preventDefault();
          const found = find(event);
          const pressed = found === undefined ? undefined : graph.nodes[found];
          if (pressed) filter(pressed);
        }}
      >
        <canvas ref={attach} />
        <span class="inks" hidden>
          {INKS.map((name) => (
            <i key={name} class={`i-${name}`} />
          ))}
        </span>
        <div class="node-card" role="status">
          {node ? (
            <>
              <Wire text={node.id} limit={80} class="mono strong" />
              <span class="quiet">
                {node.internal === null ? "" : node.internal ? "internal, " : "external, "}
                {node.added ? "from the raw records" : `${count(node.rows.length)} ${node.rows.length === 1 ? "row" : "rows"}, best rank ${count(node.rank)}`}, {count(node.degree)} {node.degree === 1 ? "neighbour" : "neighbours"}
              </span>
              {chosen === light ? (
                <span class="node-actions">
                  {node.field === "qname" ? null : (
                    <button type="button" class="small" onClick={() => around(node)}>
                      {source === "flow" ? "Chord" : "Names"}
                    </button>
                  )}
                  <button type="button" class="small" onClick={() => filter(node)}>
                    Filter
                  </button>
                  {node.id.startsWith("*.") ? null : (
                    <button type="button" class="small" onClick={() => void expand(node)}>
                      Expand
                    </button>
                  )}
                  <button type="button" class="small" onClick={() => hideNode(node)}>
                    Hide
                  </button>
                </span>
              ) : null}
            </>
          ) : null}
        </div>
      </div>
    </Chart>
  );
}

const failed = (error: unknown) => void toast({ text: `The neighbours could not be read: ${asApiError(error).message}`, tone: "bad" });

/** Neighbours of a node by the raw records of the day. */
async function expanded(source: Source, of: string, date: string): Promise<Neighbour[]> {
  if (source === "flow") {
    const { peers } = await get("/api/v1/around/flow", { ip: of, date, limit: 20 });
    return peers.map((peer) => ({ of, id: peer.peer, internal: peer.internal }));
  }
  const isClient = isAddress(of);
  const { names } = await get("/api/v1/around/dns", { [isClient ? "client" : "name"]: of, date, limit: 20 });
  return [...new Set(names.map((name) => (isClient ? name.qname : name.client_ip)))].map((id) => ({ of, id, internal: false }));
}

/** Positions of a graph's nodes as the worker finds them. */
function useLayout(graph: Graph) {
  const [state, setState] = useState<{ graph: Graph; positions: Float32Array; settled: boolean }>();
  const worker = useRef<Worker | undefined>(undefined);
  const turn = useRef(0);
  const before = useRef(new Map<string, [number, number]>());
  const still = useRef(false);
  useEffect(() => {
    worker.current = layoutWorker();
    return () => worker.current?.terminate();
  }, []);
  useEffect(() => {
    const now = worker.current;
    if (!now) return;
    turn.current += 1;
    const mine = turn.current;
    const known = new Float32Array(graph.nodes.length * 2).fill(Number.NaN);
    graph.nodes.forEach((node, at) => {
      const place = before.current.get(node.id);
      if (place) known.set(place, 2 * at);
    });
    now.onmessage = ({ data }: MessageEvent<Positions>) => {
      if (data.turn !== mine || (still.current && !data.settled)) return;
      still.current = false;
      graph.nodes.forEach((node, at) => before.current.set(node.id, [data.positions[2 * at] ?? 0, data.positions[2 * at + 1] ?? 0]));
      setState({ graph, positions: data.positions, settled: data.settled });
    };
    // Who wants less motion sees the graph when it has found its places; what is dragged moves.
    still.current = matchMedia("(prefers-reduced-motion: reduce)").matches;
    now.postMessage({
      kind: "start",
      turn: mine,
      radii: graph.nodes.map(radius),
      known,
      links: graph.links.map((link) => [link.source, link.target, link.added ? 0.2 : 0.3 + Math.min(0.5, link.bits / 64)]),
    });
  }, [graph]);
  return {
    positions: state?.graph === graph ? state.positions : undefined,
    settled: state?.graph === graph && state.settled,
    drag: (node: number, x: number, y: number) => worker.current?.postMessage({ kind: "drag", node, x, y }),
    release: (node: number) => worker.current?.postMessage({ kind: "release", node }),
  };
}

/** The frame that shows all of it. */
function fitting(positions: Float32Array, width: number, height: number): Frame {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at < positions.length; at += 2) {
    const [x = 0, y = 0] = [positions[at], positions[at + 1]];
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  if (!Number.isFinite(left)) return { x: width / 2, y: height / 2, k: 1 };
  const k = Math.min(1.6, (width - 90) / Math.max(1, right - left), (height - 60) / Math.max(1, bottom - top));
  const scale = Math.max(0.15, k);
  return { k: scale, x: width / 2 - (scale * (left + right)) / 2, y: height / 2 - (scale * (top + bottom)) / 2 };
}

function draw(canvas: HTMLCanvasElement, graph: Graph, positions: Float32Array, frame: Frame, light: number | undefined, row: string): void {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  }
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  paint(context, canvas, graph, positions, frame, light, row);
}

/** What is drawn with: a canvas's context, or one that writes SVG. */
type Pen = Pick<
  CanvasRenderingContext2D,
  "globalAlpha" | "fillStyle" | "strokeStyle" | "lineWidth" | "font" | "textBaseline" | "direction" | "setLineDash" | "beginPath" | "moveTo" | "lineTo" | "closePath" | "arc" | "stroke" | "measureText" | "strokeText" | "fillText"
> & { fill: () => void };

function paint(context: Pen, canvas: HTMLCanvasElement, { nodes, links }: Graph, positions: Float32Array, { x, y, k }: Frame, light: number | undefined, row: string): void {
  const style = getComputedStyle(canvas);
  const ink = inkOf(canvas);
  const px = (at: number) => (positions[2 * at] ?? 0) * k + x;
  const py = (at: number) => (positions[2 * at + 1] ?? 0) * k + y;
  // What is lit: the node with its neighbours, or the row's link.
  const shown = new Set<number>();
  if (light !== undefined) {
    shown.add(light);
    for (const link of links) {
      if (link.source === light) shown.add(link.target);
      if (link.target === light) shown.add(link.source);
    }
  } else if (row) {
    for (const link of links) {
      if (!link.rows.includes(row)) continue;
      shown.add(link.source);
      shown.add(link.target);
    }
  }
  const faded = shown.size > 0;
  for (const link of links) {
    const on = !faded || (light !== undefined ? link.source === light || link.target === light : link.rows.includes(row));
    context.globalAlpha = on ? (link.added ? 0.5 : 0.85) : 0.08;
    context.strokeStyle = link.added ? ink.line : ink[link.band];
    context.lineWidth = (link.added ? 0.8 : Math.min(4, 0.9 + Math.log2(link.rows.length + 1) * 0.6)) * (faded && on ? 1.5 : 1);
    context.setLineDash(link.added ? [3, 3] : []);
    context.beginPath();
    context.moveTo(px(link.source), py(link.source));
    context.lineTo(px(link.target), py(link.target));
    context.stroke();
  }
  context.setLineDash([]);
  nodes.forEach((node, at) => {
    const size = radius(node) * Math.min(1.6, Math.max(0.7, k));
    context.globalAlpha = faded && !shown.has(at) ? 0.15 : 1;
    context.beginPath();
    if (node.shape === "diamond") {
      context.moveTo(px(at), py(at) - size * 1.2);
      context.lineTo(px(at) + size * 1.2, py(at));
      context.lineTo(px(at), py(at) + size * 1.2);
      context.lineTo(px(at) - size * 1.2, py(at));
      context.closePath();
    } else context.arc(px(at), py(at), size, 0, 2 * Math.PI);
    context.fillStyle = node.shape === "diamond" ? ink.accent : ink.surface;
    context.fill();
    context.lineWidth = at === light ? 2.5 : 1.4;
    context.strokeStyle = at === light ? ink.text : node.shape === "diamond" ? ink.accent : ink.quiet;
    context.stroke();
  });
  context.font = `11px ${style.fontFamily}`;
  context.textBaseline = "middle";
  context.direction = "ltr";
  const named = faded ? [...shown] : nodes.map((_, at) => at).sort((a, b) => (nodes[b]?.rows.length ?? 0) - (nodes[a]?.rows.length ?? 0));
  const boxes: [number, number, number, number][] = [];
  for (const at of named.slice(0, faded ? 60 : LABELS * Math.max(1, k))) {
    const node = nodes[at];
    if (!node) continue;
    const text = escapeText(node.id, 40);
    const [left, middle] = [px(at) + radius(node) * Math.max(0.7, k) + 5, py(at)];
    const right = left + context.measureText(text).width;
    if (at !== light && boxes.some(([l, m, r]) => left < r && right > l && Math.abs(middle - m) < 12)) continue;
    boxes.push([left, middle, right, middle]);
    context.globalAlpha = 1;
    context.lineWidth = 3;
    context.strokeStyle = ink.surface;
    context.strokeText(text, left, middle);
    context.fillStyle = at === light ? ink.text : ink.label;
    context.fillText(text, left, middle);
  }
  context.globalAlpha = 1;
}

/** Colours of the theme, resolved: a canvas does not know custom properties. */
function inkOf(canvas: HTMLCanvasElement): Record<Band | "line" | "accent" | "surface" | "text" | "quiet" | "label", string> {
  const probe = canvas.parentElement?.querySelector(".inks");
  const read = (name: string) => (probe ? getComputedStyle(probe.querySelector(`.${name}`) ?? probe).color : "gray");
  return {
    extreme: read("i-extreme"), high: read("i-high"), raised: read("i-raised"), usual: read("i-usual"), line: read("i-line"),
    accent: read("i-accent"), surface: read("i-surface"), text: read("i-text"), quiet: read("i-quiet"), label: read("i-quiet"),
  };
}
