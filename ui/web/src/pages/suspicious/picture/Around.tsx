// What surrounds one host on a day, by the raw records: the bytes between it and its peers as a chord diagram (flows), or
// the names it asked for and their answers as a dendrogram (DNS).

import { arc } from "d3-shape";
import { chordDirected, ribbonArrow } from "d3-chord";
import { cluster, hierarchy } from "d3-hierarchy";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ApiError, asApiError, get } from "../../../api/client";
import type { AroundDns, AroundFlow } from "../../../api/types";
import { Chart } from "../../../parts/chart/Chart";
import { Failed, Loading, Notice } from "../../../parts/State";
import { escapeText } from "../../../text/hostile";
import type { Source } from "../../../text/source";
import { responseCode } from "../../../text/names";
import { bytes, count, share } from "../../../text/units";
import { usePanZoom } from "./usePanZoom";
import "./picture.css";

interface Props {
  source: Source;
  date: string;
  host: string;
}

export function Around({ source, date, host }: Props) {
  const [state, set] = useState<{ key: string; flow?: AroundFlow; dns?: AroundDns; error?: ApiError }>({ key: "" });
  const [turn, setTurn] = useState(0);
  const key = `${source} ${date} ${host}`;
  useEffect(() => {
    const abort = new AbortController();
    const fail = (error: unknown) => !abort.signal.aborted && set({ key, error: asApiError(error) });
    if (source === "flow") get("/api/v1/around/flow", { ip: host, date, limit: 20 }, abort.signal).then((flow) => set({ key, flow }), fail);
    else get("/api/v1/around/dns", { client: host, date, limit: 100 }, abort.signal).then((dns) => set({ key, dns }), fail);
    return () => abort.abort();
  }, [key, turn]);
  if (state.key !== key) return <Loading what={`what surrounds ${escapeText(host, 60)}`} />;
  if (state.error) return <Failed error={state.error} retry={() => setTurn(turn + 1)} />;
  if (state.flow) return state.flow.peers.length ? <Chord host={host} around={state.flow} /> : <Empty host={host} date={date} />;
  if (state.dns) return state.dns.names.length ? <Dendrogram host={host} around={state.dns} /> : <Empty host={host} date={date} />;
  return null;
}

function Empty({ host, date }: { host: string; date: string }) {
  return <Notice title={`No raw records of ${escapeText(host, 60)} on ${date}`} />;
}

const SIZE = 300;
/** Half of the drawing: the ring, and room for names beside it. */
const VIEW = 345;

/** Bytes to and from the peers. Drag turns it, and so do ← and →; ↑ and ↓ go from peer to peer, `m` opens its menu. */
function Chord({ host, around }: { host: string; around: AroundFlow }) {
  const { peers, more } = around;
  const [turned, setTurned] = useState(0);
  const [over, setOver] = useState(-1);
  const svg = useRef<SVGSVGElement>(null);
  const names = [host, ...peers.map((peer) => peer.peer)];
  const total = Math.max(1, peers.reduce((sum, peer) => sum + peer.bytes_out + peer.bytes_in, 0));
  const chords = useMemo(() => {
    const matrix = names.map(() => names.map(() => 0));
    peers.forEach((peer, at) => {
      const [out, back] = [matrix[0], matrix[at + 1]];
      if (out) out[at + 1] = peer.bytes_out;
      if (back) back[0] = peer.bytes_in;
    });
    return chordDirected().padAngle(Math.min(0.04, 1.5 / names.length)).sortSubgroups((a, b) => b - a)(matrix);
  }, [around]);
  const ring = arc<{ startAngle: number; endAngle: number }>().innerRadius(SIZE * 0.66).outerRadius(SIZE * 0.7);
  const ribbon = ribbonArrow().radius(SIZE * 0.65).headRadius(10);
  const turn = (event: PointerEvent) => {
    const element = svg.current;
    if (!element || event.button !== 0) return;
    const { left, top, width, height } = element.getBoundingClientRect();
    const angle = (at: MouseEvent) => (Math.atan2(at.clientY - top - height / 2, at.clientX - left - width / 2) * 180) / Math.PI;
    let last = angle(event);
    const move = (to: PointerEvent) => {
      const next = angle(to);
      const step = next - last;
      last = next;
      setTurned((now) => now + step);
    };
    const stop = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", stop);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", stop);
  };
  const peer = over > 0 ? peers[over - 1] : undefined;
  return (
    <Chart
      title={`Bytes between ${escapeText(host, 50)} and its peers`}
      class="around"
      summary={`${count(peers.length)} peers, ${bytes(total)} in both directions`}
      twin={{ columns: ["Peer", "Internal", "Bytes sent", "Bytes received", "Connections"], rows: peers.map((one) => [one.peer, one.internal, one.bytes_out, one.bytes_in, one.connections]) }}
      tools={more ? <span class="legend">the {peers.length} that lead by bytes</span> : null}
    >
      <div class="chord-stage">
        <svg
          ref={svg}
          class="chord"
          viewBox={`${-VIEW} ${-VIEW} ${2 * VIEW} ${2 * VIEW}`}
          role="img"
          aria-label={`Chord diagram of ${escapeText(host, 60)}: left and right turn it, up and down go from peer to peer, m opens the menu of one; its table has the numbers`}
          tabindex={0}
          onPointerDown={turn}
          onPointerLeave={() => setOver(-1)}
          onKeyDown={(event) => {
            const turns = { ArrowLeft: -15, ArrowRight: 15 }[event.key];
            const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
            if (turns) setTurned(turned + turns);
            else if (step) setOver((Math.max(over, step > 0 ? -1 : 0) + step + names.length) % names.length);
            else return;
            event.preventDefault();
            event.stopPropagation();
          }}
        >
          <g transform={`rotate(${turned})`}>
            {chords.map((chord, at) => {
              const other = chord.source.index || chord.target.index;
              const path = ribbon({ ...chord, source: { ...chord.source, radius: SIZE * 0.65 }, target: { ...chord.target, radius: SIZE * 0.65 } }) as unknown as string | null;
              return <path key={at} d={path ?? ""} class={`ribbon ${chord.source.index === 0 ? "out" : "in"}${over >= 0 && over !== other && over !== 0 ? " dim" : ""}`} onPointerEnter={() => setOver(other)} />;
            })}
            {chords.groups.map((group) => {
              const middle = (group.startAngle + group.endAngle) / 2;
              const name = names[group.index] ?? "";
              const part = group.value / total;
              const labelled = names.length <= 10 || part > 0.005;
              const flip = ((((middle * 180) / Math.PI + turned) % 360) + 360) % 360 > 180;
              return (
                <g key={group.index} class={`arc${group.index === 0 ? " anchor" : ""}${over === group.index ? " at" : ""}${over >= 0 && over !== group.index && group.index !== 0 ? " dim" : ""}`} data-field="ip" data-value={name} data-kind="ip" onPointerEnter={() => setOver(group.index)}>
                  <path d={ring(group) ?? ""} />
                  {labelled ? (
                    <text transform={`rotate(${(middle * 180) / Math.PI - 90}) translate(${SIZE * 0.72} 0)${flip ? " rotate(180)" : ""}`} text-anchor={flip ? "end" : "start"} dominant-baseline="central">
                      {escapeText(name, 39)}
                    </text>
                  ) : null}
                </g>
              );
            })}
          </g>
        </svg>
        <p class="node-card" role="status">
          {peer ? (
            <>
              <span class="mono strong">{escapeText(peer.peer, 60)}</span>{" "}
              <span class="quiet">
                sent to it {bytes(peer.bytes_out)} ({share(peer.bytes_out / total)}), received {bytes(peer.bytes_in)} ({share(peer.bytes_in / total)}), {count(peer.connections)} connections
              </span>
            </>
          ) : (
            <span class="quiet">
              {bytes(total)} in all. <span class="key out" /> sent by {escapeText(host, 40)} <span class="key in" /> received
            </span>
          )}
        </p>
      </div>
    </Chart>
  );
}

interface Leaf {
  name: string;
  kind: "client" | "name" | "answer";
  total: number;
  children?: Leaf[];
}

const LINE = 18;

/** Client → names → answers. */
function Dendrogram({ host, around }: { host: string; around: AroundDns }) {
  const root = useMemo((): Leaf => {
    const names = new Map<string, Leaf>();
    for (const { qname, answers, rcode, records } of around.names) {
      const leaf = names.get(qname) ?? { name: qname, kind: "name" as const, total: 0, children: [] };
      leaf.total += records;
      for (const answer of answers.length ? answers : [responseCode(rcode)]) {
        const known = leaf.children?.find((child) => child.name === answer);
        if (known) known.total += records;
        else leaf.children?.push({ name: answer, kind: "answer", total: records });
      }
      names.set(qname, leaf);
    }
    return { name: host, kind: "client", total: around.names.reduce((sum, one) => sum + one.records, 0), children: [...names.values()] };
  }, [around]);
  const laid = useMemo(() => cluster<Leaf>().nodeSize([LINE, 1])(hierarchy(root)), [root]);
  const { frame, box, pan, by, key } = usePanZoom({ x: 110, y: 130, k: 0.9 });
  const x = (depth: number) => [0, 90, 400][depth] ?? 0;
  return (
    <Chart
      title={`Names that ${escapeText(host, 50)} asked for`}
      class="around"
      summary={`${count(root.children?.length ?? 0)} names in ${count(root.total)} records`}
      twin={{ columns: ["Name", "Response", "Answers", "Records"], rows: around.names.map((one) => [one.qname, responseCode(one.rcode), one.answers.join(" "), one.records]) }}
      tools={
        <>
          {around.more ? <span class="legend">the most frequent</span> : null}
          <button type="button" class="small" aria-label="Zoom in" onClick={() => by(1.25)}>
            +
          </button>
          <button type="button" class="small" aria-label="Zoom out" onClick={() => by(0.8)}>
            −
          </button>
        </>
      }
    >
      <div class="stage" ref={box} tabIndex={0} role="group" aria-label="Dendrogram: + and − zoom; its table has the same" onPointerDown={pan} onKeyDown={(event) => key(event.key) && event.stopPropagation()}>
        <svg class="tree" role="img" aria-label={`Names and answers of ${escapeText(host, 60)}`}>
          <g transform={`translate(${frame.x} ${frame.y}) scale(${frame.k})`}>
            {laid.links().map((link, at) => {
              const [x0, x1] = [x(link.source.depth), x(link.target.depth)];
              return <path key={at} class="twig usual" d={`M${x0} ${link.source.x}C${(x0 + x1) / 2} ${link.source.x} ${(x0 + x1) / 2} ${link.target.x} ${x1} ${link.target.x}`} />;
            })}
            {laid.descendants().map((node, at) => (
              <g
                key={at}
                class={`branch ${node.data.kind}`}
                transform={`translate(${x(node.depth)} ${node.x})`}
                {...(node.data.kind === "answer" ? {} : { "data-field": node.data.kind === "client" ? "client_ip" : "qname", "data-value": node.data.name, "data-kind": node.data.kind === "client" ? "ip" : "name" })}
              >
                <title>{`${escapeText(node.data.name, 500)}: ${count(node.data.total)} records`}</title>
                <circle r={3.5} />
                <text x={node.depth === 0 ? -8 : 8} text-anchor={node.depth === 0 ? "end" : "start"} dominant-baseline="central">
                  {escapeText(node.data.name, 44)}
                </text>
              </g>
            ))}
          </g>
        </svg>
      </div>
    </Chart>
  );
}
