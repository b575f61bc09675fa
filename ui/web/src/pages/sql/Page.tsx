// The SQL console: a statement, the tables it may name, its answer, and the statements that are kept.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, asApiError, get, send } from "../../api/client";
import type { SavedQuery, SqlAnswer, SqlSchema } from "../../api/types";
import { may, me } from "../../app/me";
import { change } from "../../app/route";
import { saveBlob } from "../../parts/download";
import { Popover } from "../../parts/Popover";
import { Failed, Loading, Notice } from "../../parts/State";
import { toast } from "../../parts/toast";
import { Wire } from "../../text/Wire";
import type { PageProps } from "../registry";
import { Editor } from "./Editor";
import { Result } from "./Result";
import "./style.css";

const FIRST = "SELECT src_ip, count(*) AS flows, sum(src_bytes) AS bytes\nFROM flow\nGROUP BY 1 ORDER BY bytes DESC LIMIT 100";
/** Longest statement that goes into the address. */
const MAX_IN_ADDRESS = 4000;
type SqlFormat = "csv" | "jsonl" | "parquet";
const FORMATS: readonly { format: SqlFormat; label: string }[] = [
  { format: "csv", label: "CSV" },
  { format: "jsonl", label: "JSON Lines" },
  { format: "parquet", label: "Parquet" },
];

export function Page({ at }: PageProps) {
  const [sql, setSql] = useState(at.params["q"] ?? FIRST);
  const [schema, setSchema] = useState<SqlSchema>();
  const [answer, setAnswer] = useState<SqlAnswer>();
  const [error, setError] = useState<ApiError>();
  const running = useRef<AbortController | undefined>(undefined);
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    if (!may("analyst")) return;
    const abort = new AbortController();
    get("/api/v1/sql/schema", {}, abort.signal).then(setSchema, (reason: unknown) => !abort.signal.aborted && setError(asApiError(reason)));
    return () => {
      abort.abort();
      running.current?.abort();
    };
  }, [me.value]);

  useEffect(() => {
    if (at.params["q"] !== undefined) setSql(at.params["q"]);
  }, [at.params["q"]]);

  const run = async () => {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    setBusy(true);
    setError(undefined);
    if (sql.length <= MAX_IN_ADDRESS) change({ q: sql }, "replace");
    try {
      const found = await send("POST /api/v1/sql", { sql, max_rows: 10_000 }, {}, abort.signal);
      if (running.current === abort) setAnswer(found);
    } catch (reason) {
      if (!abort.signal.aborted) setError(asApiError(reason));
    } finally {
      if (running.current === abort) setBusy(false);
    }
  };
  const stop = () => {
    running.current?.abort();
    running.current = undefined;
    setBusy(false);
  };

  if (me.value && !may("analyst")) {
    return (
      <Notice title="The SQL console is for analysts">
        <p>Ask an administrator for the role.</p>
      </Notice>
    );
  }
  return (
    <div class="sql">
      <aside aria-label="Tables">
        <h2>Tables</h2>
        {schema ? <Tree schema={schema} onPick={(name) => setSql(`${sql.trimEnd()} ${name}`)} /> : error ? null : <Loading what="the tables" />}
        <Saved sql={sql} onOpen={(query) => setSql(query.sql)} />
      </aside>
      <div class="sql-work">
        <Editor value={sql} schema={schema} onInput={setSql} onRun={() => void run()} />
        <div class="sql-tools">
          {busy ? (
            <button type="button" onClick={stop}>
              Stop
            </button>
          ) : (
            <button type="button" class="primary" title="Ctrl+Enter" onClick={() => void run()}>
              Run
            </button>
          )}
          <Popover label="Save the answer" align="start">
            {(close) => (
              <div class="menu">
                {FORMATS.map(({ format, label }) => (
                  <button key={format} type="button" onClick={() => (close(), void save(sql, format))}>
                    {label}, all rows
                  </button>
                ))}
              </div>
            )}
          </Popover>
          <span class="quiet">Reads only: SELECT, EXPLAIN, DESCRIBE, SHOW. 30 s, 10,000 rows; as a file 5 min, 1,000,000 rows.</span>
        </div>
        {busy ? <Loading what="the answer" /> : null}
        {error ? <Failed error={error} /> : null}
        {answer && !error ? <Result answer={answer} /> : null}
      </div>
    </div>
  );
}

async function save(sql: string, format: SqlFormat): Promise<void> {
  try {
    const response = await fetch(`/api/v1/sql/export?format=${format}`, {
      method: "POST",
      credentials: "same-origin",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ sql, max_rows: null }),
    });
    if (!response.ok) {
      const problem = (await response.json()) as { title?: string; detail?: string; action?: string };
      throw new ApiError(response.status, problem.title ?? "The answer was not saved", problem.detail ?? "", problem.action ?? "");
    }
    saveBlob(await response.blob(), `answer.${format}`);
  } catch (reason) {
    const problem = asApiError(reason);
    toast({ text: problem.detail ? `${problem.message}: ${problem.detail}` : problem.message, tone: "bad" });
  }
}

function Tree({ schema, onPick }: { schema: SqlSchema; onPick: (name: string) => void }) {
  return (
    <ul class="sql-tree">
      {schema.tables.map((table) => (
        <li key={table.name}>
          <details>
            <summary class="mono">{table.name}</summary>
            <ul>
              {table.columns.map((column) => (
                <li key={column.name}>
                  <button type="button" class="plain-button mono" title={`${column.data_type}${column.nullable ? ", may be null" : ""}. Press to put it into the statement.`} onClick={() => onPick(column.name)}>
                    {column.name}
                  </button>
                </li>
              ))}
            </ul>
          </details>
        </li>
      ))}
    </ul>
  );
}

function Saved({ sql, onOpen }: { sql: string; onOpen: (query: SavedQuery) => void }) {
  const [list, setList] = useState<readonly SavedQuery[]>([]);
  const [name, setName] = useState("");
  const failed = (reason: unknown) => {
    const problem = asApiError(reason);
    toast({ text: problem.detail ? `${problem.message}: ${problem.detail}` : problem.message, tone: "bad" });
  };
  const load = () => get("/api/v1/sql/queries", {}).then((value) => setList(value.queries), failed);
  useEffect(() => void (may("analyst") && load()), [me.value]);
  const keep = (event: Event) => {
    event.preventDefault();
    send("POST /api/v1/sql/queries", { name, sql }).then(() => {
      setName("");
      return load();
    }, failed);
  };
  const drop = (query: SavedQuery) => {
    send("DELETE /api/v1/sql/queries/{id}", undefined, { id: query.id }).then(load, failed);
  };
  return (
    <section aria-labelledby="kept">
      <h2 id="kept">Kept statements</h2>
      <ul class="sql-kept">
        {list.map((query) => (
          <li key={query.id}>
            <button type="button" class="plain-button" title={query.sql.slice(0, 300)} onClick={() => onOpen(query)}>
              <Wire text={query.name} limit={80} />
            </button>
            {query.owner === me.value?.name || may("admin") ? (
              <button type="button" class="step" aria-label={`Drop ${query.name}`} onClick={() => drop(query)}>
                ×
              </button>
            ) : (
              <span class="quiet">
                <Wire text={query.owner} limit={30} />
              </span>
            )}
          </li>
        ))}
      </ul>
      <form class="sql-keep" onSubmit={keep}>
        <input aria-label="Name to keep the statement by" placeholder="Name" required maxLength={80} value={name} onInput={(event) => setName(event.currentTarget.value)} />
        <button type="submit" class="small">
          Keep
        </button>
      </form>
    </section>
  );
}
