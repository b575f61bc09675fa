// Incident progression of a URI: where requests came from, who sent them, how; and where the URI led. Columns left to right.

import type { Board } from "../../api/types";
import { Chart } from "../../parts/chart/Chart";
import { useWidth } from "../../parts/chart/useWidth";
import { valueHref } from "../../parts/subject/links";
import type { Range } from "../../parts/time/RangePicker";
import { escapeText } from "../../text/hostile";

const ROW = 26;
const HEADS = ["Referer", "Client IP", "Method", "Content type", "Threat", "Referred"];

export function Requests({ board, range }: { board: Board; range: Range }) {
  const { box, width } = useWidth(900);
  const unique = (list: readonly (string | null)[]) => [...new Set(list.map((item) => item ?? "–"))].slice(0, 20);
  const columns = [
    unique(board.requests.map((request) => request.referer)),
    unique(board.requests.map((request) => request.client_ip)),
    unique(board.requests.map((request) => request.method)),
    unique(board.requests.map((request) => request.content_type)),
    [board.subject],
    board.referred.slice(0, 20),
  ];
  const rows = Math.max(1, ...columns.map((column) => column.length));
  const height = rows * ROW + 34;
  const wide = width / HEADS.length;
  const y = (column: number, row: number) => 30 + ((row + 0.5) * rows * ROW) / Math.max(1, columns[column]?.length ?? 1);
  const place = (column: number, value: string | null) => {
    const row = columns[column]?.indexOf(value ?? "–") ?? -1;
    return row < 0 ? undefined : { x: column * wide + 8, y: y(column, row) };
  };
  const links: [number, string | null, number, string | null][] = [
    ...board.requests.flatMap((request): [number, string | null, number, string | null][] => [
      [0, request.referer, 1, request.client_ip],
      [1, request.client_ip, 2, request.method],
      [2, request.method, 3, request.content_type],
      [3, request.content_type, 4, board.subject],
    ]),
    ...board.referred.map((uri): [number, string | null, number, string | null] => [4, board.subject, 5, uri]),
  ];
  const drawn = new Set<string>();
  const kinds = ["uri", "address", "", "", "", "uri"];
  return (
    <Chart
      class="frame wide-frame"
      title="Requests of the URI"
      summary={`${board.requests.length} kinds of requests, and ${board.referred.length} URIs it led to.`}
      twin={{ columns: ["Referer", "Client", "Method", "Content type", "Requests"], rows: board.requests.map((request) => [request.referer, request.client_ip, request.method, request.content_type, request.count]) }}
    >
      <div ref={box}>
        <svg width={width} height={height}>
          {HEADS.map((head, column) => (
            <text key={head} class="tick" x={column * wide + 8} y={16}>
              {head}
            </text>
          ))}
          {links.map(([a, from, b, to]) => {
            const start = place(a, from);
            const end = place(b, to);
            const key = `${a} ${from} ${to}`;
            if (!start || !end || drawn.has(key)) return null;
            drawn.add(key);
            const middle = (start.x + end.x) / 2 + wide / 3;
            return <path key={key} class="branch" d={`M${start.x} ${start.y}C${middle} ${start.y} ${middle - wide / 3} ${end.y} ${end.x} ${end.y}`} />;
          })}
          {columns.map((column, at) =>
            column.map((value, row) => {
              const to = value === "–" ? undefined : valueHref(kinds[at] ?? "", value, range);
              const label = (
                <text class="label" x={at * wide + 18} y={y(at, row) + 4}>
                  {escapeText(value, Math.max(6, Math.floor((wide - 26) / 6.6)))}
                  <title>{escapeText(value, 1000)}</title>
                </text>
              );
              return (
                <g key={`${at} ${value}`}>
                  <circle class="dot leaf" cx={at * wide + 8} cy={y(at, row)} r={4} />
                  {to ? <a href={to}>{label}</a> : label}
                </g>
              );
            }),
          )}
        </svg>
      </div>
    </Chart>
  );
}
