// Is anything missing? What the lake holds, whether the books close, and which runs made the scores.

import { useEffect, useState } from "preact/hooks";
import { type ApiError, asApiError, get } from "../../api/client";
import type { Keeping, Run, Status, TableStatus } from "../../api/types";
import { Failed, Loading, Notice } from "../../parts/State";
import { minute } from "../../text/time";
import { bytes, count } from "../../text/units";
import { Wire } from "../../text/Wire";
import { Books } from "./Books";
import { Kept } from "./Kept";
import "./style.css";

/** How often the page looks again, ms. */
const EVERY = 30_000;

export function Page() {
  const [status, setStatus] = useState<Status>();
  const [error, setError] = useState<ApiError>();
  const [turn, setTurn] = useState(0);

  useEffect(() => {
    const abort = new AbortController();
    get("/api/v1/status", {}, abort.signal).then(
      (value) => {
        setStatus(value);
        setError(undefined);
      },
      (reason: unknown) => !abort.signal.aborted && setError(asApiError(reason)),
    );
    const timer = setTimeout(() => setTurn(turn + 1), EVERY);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [turn]);

  if (!status) return error ? <Failed error={error} retry={() => setTurn(turn + 1)} /> : <Loading what="the appliance's state" />;
  const open = status.books.filter((book) => book.closed === false).length;
  const lost = status.books.reduce((sum, book) => sum + book.lost, 0);
  return (
    <div class="health">
      {error ? <Failed error={error} retry={() => setTurn(turn + 1)} /> : null}
      <ul class="tiles">
        <Tile
          label="Books"
          value={open === 0 ? "closed" : `${open} open`}
          tone={status.books.length === 0 ? "plain" : open === 0 ? "good" : "bad"}
          text={status.books.length === 0 ? "nothing was counted yet" : `last ${count(status.books.length)} intervals and imports`}
        />
        <Tile label="Packets lost" value={count(lost)} tone={lost === 0 ? "good" : "bad"} text="in those, by every counter that says so" />
        <Tile label="Records" value={count(status.tables.filter((table) => ["flow", "dns", "proxy"].includes(table.table)).reduce((sum, table) => sum + table.rows, 0))} tone="plain" text="flow, DNS and proxy" />
        <Tile label="Lake" value={bytes(status.tables.reduce((sum, table) => sum + table.bytes, 0))} tone="plain" text={`${count(status.tables.reduce((sum, table) => sum + table.parts, 0))} files`} />
        <Room keeping={status.keeping} />
      </ul>
      <section aria-labelledby="books">
        <h2 id="books">Books</h2>
        <p class="quiet">Every packet read has one fate, and every packet taken is in one record: the sums must agree, or something was lost without being counted.</p>
        {status.books.length === 0 ? (
          <Notice title="No books yet">
            <p>
              Each import and each capture interval writes its counters here. Start with <code>spotter import capture.pcap</code>.
            </p>
          </Notice>
        ) : (
          <Books books={status.books} />
        )}
      </section>
      <section aria-labelledby="lake">
        <h2 id="lake">Lake</h2>
        <p class="quiet mono">
          <Wire text={status.lake} />
        </p>
        <Tables tables={status.tables} />
      </section>
      <Kept status={status} />
      <section aria-labelledby="runs">
        <h2 id="runs">Scoring runs and their model cards</h2>
        {status.runs.length === 0 ? (
          <Notice title="Nothing is scored yet">
            <p>
              <code>spotter score --source all --date DAY</code> makes a run.
            </p>
          </Notice>
        ) : (
          status.runs.map((run) => <RunCard key={run.run_id} run={run} />)
        )}
      </section>
      <p class="quiet">
        Spotter {status.version}, looked up {minute(status.at)}, again every 30 s
      </p>
    </div>
  );
}

/** A file system with less than a tenth left, or a week at the present pace, needs somebody. */
function Room({ keeping: { disk_free: free, disk_total: total, days_left: days } }: { keeping: Keeping }) {
  if (free === null || total === null) return <Tile label="Room left" value="unknown" tone="plain" text="the file system does not say" />;
  const tight = free < total / 10 || (days !== null && days < 7);
  return <Tile label="Room left" value={bytes(free)} tone={tight ? "bad" : "good"} text={`of ${bytes(total)}${days === null ? "" : `, about ${count(Math.floor(days))} days`}`} />;
}

function Tile({ label, value, text, tone }: { label: string; value: string; text: string; tone: "good" | "bad" | "plain" }) {
  return (
    <li class={`tile ${tone}`}>
      <span class="tile-label">{label}</span>
      <span class="tile-value num">{value}</span>
      <span class="quiet">{text}</span>
    </li>
  );
}

function Tables({ tables }: { tables: readonly TableStatus[] }) {
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Table</th>
          <th scope="col" class="end">
            Rows
          </th>
          <th scope="col" class="end">
            Size
          </th>
          <th scope="col" class="end">
            Files
          </th>
          <th scope="col">First</th>
          <th scope="col">Last</th>
        </tr>
      </thead>
      <tbody>
        {tables.map((table) => (
          <tr key={table.table}>
            <th scope="row">{table.table}</th>
            <td class="end num">{count(table.rows)}</td>
            <td class="end num" title={`${count(table.bytes)} bytes`}>
              {bytes(table.bytes)}
            </td>
            <td class="end num">{count(table.parts)}</td>
            <td class="num">{table.first ? minute(table.first) : "–"}</td>
            <td class="num">{table.last ? minute(table.last) : "–"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function RunCard({ run }: { run: Run }) {
  return (
    <details class="card">
      <summary>
        <strong>{run.source}</strong> <span class="num">{run.date}</span>
        {run.current ? <span class="pill solid">shown</span> : <span class="pill">older</span>}
        <span class="quiet">
          words {run.words}, made {minute(run.scored_at)}, {count(run.rows)} records kept
        </span>
      </summary>
      <p class="quiet mono">
        run <Wire text={run.run_id} /> {run.model ? <>model <Wire text={run.model} /></> : null}
      </p>
      {run.card ? <Card value={run.card} /> : <p>This run has no model card.</p>}
    </details>
  );
}

/** A model card: nested objects become sections, everything else a line. */
function Card({ value }: { value: Record<string, unknown> }) {
  return (
    <dl class="columns">
      {Object.entries(value).map(([name, entry]) => (
        <div key={name}>
          <dt>
            <Wire text={name.replaceAll("_", " ")} />
          </dt>
          <dd class="mono">{isObject(entry) ? <Card value={entry} /> : <Wire text={plain(entry)} limit={2000} />}</dd>
        </div>
      ))}
    </dl>
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function plain(value: unknown): string {
  if (typeof value === "number" && Number.isInteger(value)) return count(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
