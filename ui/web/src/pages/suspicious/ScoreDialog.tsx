// A verdict with its reach: how far, what that touches, why, until when. With a row it begins from the row; without one it
// is Spot's quick scoring, on an address, a name or a URI. Either can be about all rows of the query instead.

import { useEffect, useState } from "preact/hooks";
import { type ApiError, asApiError, get, send } from "../../api/client";
import type { Matcher, Preview, QueryVerdict, VerdictScope, VerdictDraft } from "../../api/types";
import { Dialog } from "../../parts/Dialog";
import { CONDITIONS, matcherOf, readCondition } from "../../parts/feedback/matcher";
import type { Source } from "../../text/source";
import { clock, stamp } from "../../text/time";
import { count } from "../../text/units";
import { Wire } from "../../text/Wire";
import type { Row } from "./list";
import { draftOf, give, rate, scopeOf, SEVERITIES, type Severity } from "./scoring";
import type { View } from "./view";
import { subject } from "./words";

const DAY = 86_400_000;
const LIFE: readonly (readonly [string, number])[] = [["for ever", 0], ["1 day", 1], ["7 days", 7], ["30 days", 30], ["90 days", 90]];
/** The reach is asked for when typing rests, ms. */
const PAUSE = 250;
/** Rows of the reach that are shown. */
const SHOWN = 8;

/** How far: as the server says it, or all that the query finds. */
type Far = VerdictScope | "query";

interface Props {
  source: Source;
  date: string;
  /** The list that is shown, and its rows; none: nothing is said of a query. */
  list?: { at: View; matching: number };
  /** Rows it begins from; none: quick scoring. */
  rows: readonly Row[];
  grouped: boolean;
  /** A value that quick scoring begins with. */
  start?: Partial<Matcher> | undefined;
  onClose: () => void;
  onDone: () => void;
}

export function ScoreDialog({ source, date, list, rows, grouped, start, onClose, onDone }: Props) {
  const [first] = rows;
  const [severity, setSeverity] = useState<Severity>(1);
  const [scope, setScope] = useState<Far>(first && !start ? scopeOf(first, grouped) : "pattern");
  const [fields, setFields] = useState<Record<string, string>>(() => Object.fromEntries(Object.entries(start ?? {}).map(([key, value]) => [key, String(value)])));
  const [quick, setQuick] = useState("");
  const [note, setNote] = useState("");
  const [life, setLife] = useState(0);
  const [saving, setSaving] = useState(false);

  const matcher = scope === "pattern" ? readFields(fields, first ? "" : quick, source) : undefined;
  const wrong = scope === "pattern" && typeof matcher === "string" ? matcher : "";
  const common = {
    note: note.trim() || null,
    expires: life === 0 ? null : stamp(new Date(Date.now() + life * DAY)),
  };
  const drafts: VerdictDraft[] =
    scope === "pattern"
      ? matcher && typeof matcher !== "string"
        ? [{ source, record_id: first?.record_id ?? null, date, scope, matcher, severity, supersedes: null, ...common }]
        : []
      : scope === "query" ? [] : rows.map((row) => draftOf(source, row, severity, scope, common));
  const query: QueryVerdict | undefined = scope === "query" && list ? { source, date, filter: list.at.filter, show: list.at.shows, severity, run_id: null, rows: null, ...common } : undefined;
  const [found, error] = useReach(query, (body, signal) => send("POST /api/v1/verdicts/query/preview", body, {}, signal));
  const wrongQuery = error ? error.detail || error.message : found && found.rows > found.most ? `One verdict may be given on ${count(found.most)} rows at most: narrow the query, or score a pattern.` : found?.rows === 0 ? "The query finds no row." : "";
  const isReady = query ? found !== undefined && !wrongQuery : drafts.length > 0;

  const save = async () => {
    setSaving(true);
    const what = scope === "pattern" ? "the pattern" : rows.length > 1 ? `${count(rows.length)} rows` : rows[0] ? subject(source, rows[0]) : "";
    const asked = query && found ? give(severity, `${count(found.rows)} rows of the query`, send("POST /api/v1/verdicts/query", { ...query, run_id: found.run_id, rows: found.rows }), onDone) : rate(drafts, what, onDone);
    if (await asked) onClose();
    setSaving(false);
  };

  return (
    <Dialog
      title={first ? (rows.length > 1 ? `Score ${count(rows.length)} rows` : "Score") : "Quick scoring"}
      wide
      onClose={onClose}
      actions={
        <>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="button" class="primary" disabled={saving || !isReady} onClick={() => void save()}>
            Save as {SEVERITIES[severity]}
          </button>
        </>
      }
    >
      <form
        class="score"
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady && !saving) void save();
        }}
      >
        <div class="score-form">
          {first && rows.length === 1 ? (
            <p class="score-row">
              Rank {count(first.standing.rank)} <Wire text={subject(source, first)} limit={160} class="mono" />
            </p>
          ) : null}
          <fieldset class="ratings">
            <legend>Rating</legend>
            {([1, 2, 3] as const).map((value) => (
              <label key={value} class={`rating s${value}`}>
                <input type="radio" name="severity" autoFocus={first !== undefined && value === 1} checked={severity === value} onChange={() => setSeverity(value)} />
                {value} {SEVERITIES[value]}
              </label>
            ))}
          </fieldset>
          <Scopes source={source} row={first} many={rows.length > 1} query={list ? `all ${count(list.matching)} rows of ${list.at.filter ? `the query: ${list.at.filter}` : "this list"}` : ""} scope={scope} onScope={setScope} />
          {!first && !query ? (
            <label class="field">
              <span>{QUICK[source]}</span>
              <input autoFocus value={quick} spellcheck={false} onInput={(event) => setQuick(event.currentTarget.value)} />
            </label>
          ) : null}
          {scope === "pattern" ? (
            <details open={first !== undefined}>
              <summary>{first ? "All of these must hold" : "More conditions"}</summary>
              <div class="conditions">
                {CONDITIONS.filter((condition) => condition.sources.includes(source)).map(({ key, label, hint }) => (
                  <label key={key} class="field">
                    <span>{label}</span>
                    <input value={fields[key] ?? ""} placeholder={hint} spellcheck={false} onInput={(event) => setFields({ ...fields, [key]: event.currentTarget.value })} />
                  </label>
                ))}
              </div>
            </details>
          ) : null}
          <label class="field">
            <span>Why</span>
            <input value={note} maxLength={500} placeholder="seen by whoever comes after" onInput={(event) => setNote(event.currentTarget.value)} />
          </label>
          <label class="field">
            <span>Holds</span>
            <select value={life} onChange={(event) => setLife(Number(event.currentTarget.value))}>
              {LIFE.map(([label, days]) => (
                <option key={days} value={days}>
                  {label}
                </option>
              ))}
            </select>
          </label>
          {wrong ? <p class="bad">{wrong}</p> : null}
        </div>
        {query ? (
          <section class="reach" aria-label="What it touches" aria-live="polite">
            <h3>What it touches</h3>
            {wrongQuery ? <p class="bad">{wrongQuery}</p> : found ? <p>Each row by its record alone: nothing else, on no other day. Undo takes all back at once.</p> : <p class="quiet">Counting …</p>}
            {found ? (
              <>
                <table class="facts">
                  <tbody>
                    <Fact label={`rows of the list of ${found.date}`} value={found.rows} />
                    <Fact label="groups they are of" value={found.groups} />
                    <Fact label="rated already: this takes their place" value={found.rated} />
                    <Fact label="best rank" value={found.best_rank} />
                  </tbody>
                </table>
                <Sample source={source} date={found.date} ids={found.sample} known={rows} />
              </>
            ) : null}
          </section>
        ) : (
          <Reach source={source} date={date} draft={rows.length > 1 && scope !== "pattern" ? undefined : drafts[0]} rows={rows} scope={scope as VerdictScope} />
        )}
        <button type="submit" hidden />
      </form>
    </Dialog>
  );
}

const QUICK: Record<Source, string> = { flow: "IP address or network", dns: "Name (and all below it), or client's address", proxy: "URI begins with, or client's address" };

/** The matcher of a form, or what is wrong with it. */
function readFields(fields: Record<string, string>, quick: string, source: Source): Matcher | string {
  const part: Record<string, string | number> = {};
  for (const [key, text] of Object.entries(fields)) {
    if (text.trim() === "") continue;
    const value = readCondition(key as keyof Matcher, text);
    if (value === undefined) return `${key}: a number is wanted, not ${text}`;
    part[key] = value;
  }
  const text = quick.trim();
  if (text !== "") {
    if (/^[0-9a-f:.]+(\/\d+)?$/i.test(text) && /[.:].*[.:]|::/.test(text)) part["address"] = text;
    else if (source === "flow") return "Flows are scored by address; write an address or a network like 10.0.0.0/8.";
    else part[source === "dns" ? "domain" : "uri"] = text;
  }
  if (Object.keys(part).length === 0) return "Say what it is about: one condition at least.";
  return matcherOf(part as Partial<Matcher>);
}

const SCOPES: readonly { scope: VerdictScope; label: (row: Row) => string; fits: (source: Source, row: Row) => boolean }[] = [
  { scope: "record", label: () => "this record only", fits: () => true },
  { scope: "group", label: (row) => `its group: ${row.standing.group_size === 1 ? "nothing else that day" : `${count(row.standing.group_size)} records alike`}, and the same on every day`, fits: () => true },
  { scope: "endpoints", label: (row) => ("src_ip" in row ? `${row.src_ip} to ${row.dst_ip}, port ${row.dst_port}` : "the same client and name"), fits: () => true },
  { scope: "host", label: (row) => `everything of ${"src_ip" in row ? row.src_ip : row.client_ip}`, fits: () => true },
  { scope: "peer", label: (row) => `everything to ${"dst_ip" in row ? row.dst_ip : (row.server_ip ?? "the server")}`, fits: (source, row) => source === "flow" || ("server_ip" in row && row.server_ip !== null) },
  { scope: "domain", label: (row) => `everything to the domain of ${"qname" in row ? row.qname : "host" in row ? row.host : ""}`, fits: (source) => source !== "flow" },
  { scope: "agent", label: (row) => `everything of the agent ${"user_agent" in row ? row.user_agent : ""}`, fits: (_, row) => "user_agent" in row && Boolean(row.user_agent) },
  { scope: "pattern", label: () => "what these conditions say …", fits: () => true },
];

function Scopes({ source, row, many, query, scope, onScope }: { source: Source; row: Row | undefined; many: boolean; query: string; scope: Far; onScope: (scope: Far) => void }) {
  const fitting: [Far, string][] = row ? SCOPES.filter((one) => one.fits(source, row)).map((one) => [one.scope, many && one.scope !== "pattern" ? MANY[one.scope] : one.label(row)]) : [["pattern", "what is written below"]];
  if (query) fitting.push(["query", query]);
  return fitting.length < 2 ? null : (
    <fieldset class="scopes">
      <legend>How far</legend>
      {fitting.map(([far, label]) => (
        <label key={far}>
          <input type="radio" name="scope" checked={scope === far} onChange={() => onScope(far)} />
          <Wire text={label} limit={90} />
        </label>
      ))}
    </fieldset>
  );
}

const MANY: Record<Exclude<VerdictScope, "pattern">, string> = {
  record: "these records only",
  group: "the group of each, on every day",
  endpoints: "the two ends of each",
  host: "everything of each one's host",
  peer: "everything to each one's peer",
  domain: "everything to each one's domain",
  agent: "everything of each one's user agent",
};

/** What something would touch, before it is given: asked for when typing rests. */
function useReach<D extends { severity: number }, R>(draft: D | undefined, ask: (draft: D, signal: AbortSignal) => Promise<R>): [R | undefined, ApiError | undefined] {
  const [reach, setReach] = useState<R>();
  const [error, setError] = useState<ApiError>();
  const asked = draft ? JSON.stringify({ ...draft, note: null, expires: null, severity: 1 }) : "";
  useEffect(() => {
    setError(undefined);
    if (!asked) {
      setReach(undefined);
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      ask(JSON.parse(asked) as D, abort.signal).then(setReach, (reason: unknown) => !abort.signal.aborted && setError(asApiError(reason)));
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [asked]);
  return [reach, error];
}

/** What a verdict would touch. */
function Reach({ source, date, draft, rows, scope }: { source: Source; date: string; draft: VerdictDraft | undefined; rows: readonly Row[]; scope: VerdictScope }) {
  const [reach, error] = useReach<VerdictDraft, Preview>(draft, (body, signal) => send("POST /api/v1/verdicts/preview", body, {}, signal));
  if (rows.length > 1 && scope !== "pattern") {
    return (
      <section class="reach" aria-label="What it touches">
        <h3>What it touches</h3>
        <p>
          <strong>{count(rows.length)}</strong> rows, each with {scope === "record" ? "its record only" : `its ${scope}`}
        </p>
        <Sample source={source} date={date} ids={rows.map((row) => row.record_id)} known={rows} />
      </section>
    );
  }
  return (
    <section class="reach" aria-label="What it touches" aria-live="polite">
      <h3>What it touches</h3>
      {error ? <p class="bad">{error.detail || error.message}</p> : null}
      {!reach && !error ? <p class="quiet">{draft ? "Counting …" : "Nothing yet."}</p> : null}
      {reach && !error ? (
        <>
          <table class="facts">
            <tbody>
              <Fact label={`rows of the list of ${reach.date ?? date}`} value={reach.rows} />
              <Fact label="groups they form" value={reach.groups} />
              <Fact label="rated already" value={reach.rated} />
              <Fact label="best rank" value={reach.best_rank} />
              <Fact label={`rows of the lists of ${count(reach.days)} days`} value={reach.rows_of_all_days} />
              <Fact label="records of the day, listed or not" value={reach.records} />
              <Fact label="hosts they are of" value={reach.hosts} />
            </tbody>
          </table>
          <Sample source={source} date={reach.date ?? date} ids={reach.sample} known={rows} />
        </>
      ) : null}
    </section>
  );
}

function Fact({ label, value }: { label: string; value: number | null }) {
  return (
    <tr>
      <td class="end num">{value === null ? "–" : count(value)}</td>
      <th scope="row">{label}</th>
    </tr>
  );
}

function Sample({ source, date, ids, known }: { source: Source; date: string; ids: readonly string[]; known: readonly Row[] }) {
  const [rows, setRows] = useState<readonly Row[]>([]);
  const wanted = ids.slice(0, SHOWN).join();
  useEffect(() => {
    const abort = new AbortController();
    const each = ids.slice(0, SHOWN).map((id): Promise<Row | undefined> => {
      const here = known.find((row) => row.record_id === id);
      if (here) return Promise.resolve(here);
      return get(`/api/v1/suspicious/${source}/{record_id}`, { record_id: id, date }, abort.signal).catch(() => undefined);
    });
    void Promise.all(each).then((found) => !abort.signal.aborted && setRows(found.filter((row) => row !== undefined)));
    return () => abort.abort();
  }, [wanted, source, date]);
  return (
    <ol class="sample">
      {rows.map((row) => (
        <li key={row.record_id}>
          <span class="num">{count(row.standing.rank)}</span> <span class="num quiet">{clock(row.first_seen).slice(0, 8)}</span> <Wire text={subject(source, row)} limit={110} class="mono" />
        </li>
      ))}
      {ids.length > SHOWN ? <li class="quiet">and more</li> : null}
    </ol>
  );
}
