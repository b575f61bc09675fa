// Impact analysis: bars of each way; press one to see what it is made of, press "Back" to return.

import type { BoardNode } from "../../api/types";
import { useParam } from "../../app/param";
import { change, route } from "../../app/route";
import { Chart } from "../../parts/chart/Chart";
import { useWidth } from "../../parts/chart/useWidth";
import { escapeText } from "../../text/hostile";
import { bytes, count, share } from "../../text/units";

const ROW = 30;
const LABEL = 190;
const TONES = ["s1", "s2", "s3", "s4", "s5", "s6"];

export function Impact({ root }: { root: BoardNode }) {
  const path = [...(route.value.params["into"] ?? "").matchAll(/\d{1,4}/g)].map(Number);
  const setPath = (next: readonly number[]) => change({ into: next.join("-") }, "replace");
  const [chosen, setBy] = useParam("bars", ["bytes", "count"]);
  const by = root.bytes > 0 ? chosen : "count";
  const { box, width } = useWidth(480);
  let at = root;
  const names: string[] = [];
  for (const index of path) {
    const child = at.children[index];
    if (!child) break;
    at = child;
    names.push(child.name);
  }
  const rows = at.children.map((node, index) => ({ node, index })).toSorted((a, b) => b.node[by] - a.node[by]);
  const most = Math.max(1, ...rows.map(({ node }) => node[by]));
  const total = Math.max(1, at[by]);
  const shown = (value: number) => (by === "bytes" ? bytes(value) : count(value));
  const wide = Math.max(60, width - LABEL - 130);
  return (
    <Chart
      class="frame"
      title="Impact analysis"
      summary={`${by === "bytes" ? "Bytes" : "Records"} of ${rows.map(({ node }) => `${escapeText(node.name, 60)} ${shown(node[by])}`).join(", ")}.`}
      twin={{ columns: ["Of", "Records", "Bytes"], rows: rows.map(({ node }) => [node.name, node.count, node.bytes]) }}
      tools={
        <>
          {path.length > 0 ? (
            <button type="button" class="small" onClick={() => setPath(path.slice(0, -1))}>
              ‹ Back
            </button>
          ) : null}
          {root.bytes > 0 ? (
            <button type="button" class="small" aria-pressed={by === "count"} onClick={() => setBy(by === "bytes" ? "count" : "bytes")}>
              Records
            </button>
          ) : null}
        </>
      }
    >
      <div ref={box} class="impact">
        <p class="quiet crumbs">{[root.name, ...names].map((name) => escapeText(name, 60)).join(" › ")}</p>
        <svg width={width} height={rows.length * ROW + 6}>
          {rows.map(({ node, index }, row) => {
            const y = row * ROW;
            const open = node.children.length > 0;
            const [name, value] = [escapeText(node.name, 27), `${shown(node[by])} · ${share(node[by] / total)}`];
            const bar = Math.max(2, (wide * node[by]) / most);
            return (
              <g
                key={node.name}
                class={open ? "impact-row open" : "impact-row"}
                {...(open
                  ? {
                      tabindex: 0,
                      role: "button",
                      onClick: () => setPath([...path, index]),
                      onKeyDown: (event: KeyboardEvent) => {
                        if (event.key !== "Enter" && event.key !== " ") return;
                        event.preventDefault();
                        setPath([...path, index]);
                      },
                    }
                  : {})}
              >
                <title>{`${escapeText(node.name, 500)}: ${count(node.count)} records, ${bytes(node.bytes)}${open ? ": show what it is made of" : ""}`}</title>
                <text class="label" x={LABEL - 8} y={y + 19} text-anchor="end">
                  {name}
                </text>
                <rect class={`bar ${TONES[path.length === 0 ? index % 6 : 0]}`} x={LABEL} y={y + 5} width={bar} height={ROW - 11} rx={3} />
                <text class="tick" x={LABEL + bar + 8} y={y + 19}>
                  {value}
                </text>
              </g>
            );
          })}
        </svg>
        {at.hidden > 0 ? <p class="quiet crumbs">and {count(at.hidden)} more that are smaller</p> : null}
      </div>
    </Chart>
  );
}
