// Noise: what is allowed or suppressed, how often it matched, until when; and verdicts in force. What is taken back stays
// in the log.

import { useEffect, useState } from "preact/hooks";
import { type ApiError, asApiError, get, send } from "../../api/client";
import type { Force, Heuristic, Preview, Rule, RuleAction, RuleDraft, Verdict, VerdictBatch } from "../../api/types";
import { change, href } from "../../app/route";
import { useKeys } from "../../app/keys";
import { Dialog } from "../../parts/Dialog";
import { CONDITIONS, inWords, matcherOf, readCondition } from "../../parts/feedback/matcher";
import { Failed, Loading, Notice } from "../../parts/State";
import { toast } from "../../parts/toast";
import { SOURCE_NAMES, SOURCES, type Source } from "../../text/source";
import { minute, stamp } from "../../text/time";
import { count } from "../../text/units";
import { Wire } from "../../text/Wire";
import type { PageProps } from "../registry";
import "./style.css";

const DAY = 86_400_000;
const LIFE: readonly (readonly [string, number])[] = [["for ever", 0], ["1 day", 1], ["7 days", 7], ["30 days", 30], ["90 days", 90], ["1 year", 365]];
const STATES: Record<Force, string> = { in_force: "in force", expired: "expired", superseded: "superseded", taken_back: "taken back" };
const SEVERITY = ["", "high", "medium", "low"];
/** The reach is asked for when typing rests, ms. */
const PAUSE = 250;

interface Data {
  rules: readonly Rule[];
  heuristics: readonly Heuristic[];
  verdicts: readonly Verdict[];
  batches: ReadonlyMap<number, VerdictBatch>;
  /** What the page after this one is asked with. */
  next: number | null;
}

/** What can be taken back. */
type Back = "rules" | "verdicts" | "verdict-batches";

export function Page({ at }: PageProps) {
  const ended = at.params["ended"] === "on";
  const before = /^\d{1,15}$/.exec(at.params["before"] ?? "")?.[0];
  const [data, setData] = useState<Data>();
  const [error, setError] = useState<ApiError>();
  const [turn, setTurn] = useState(0);
  const [draft, setDraft] = useState<Start>();
  const again = () => setTurn((now) => now + 1);
  useEffect(() => {
    const abort = new AbortController();
    const which = { ended: ended ? "on" : "off" };
    Promise.all([get("/api/v1/rules", which, abort.signal), get("/api/v1/verdicts", { ...which, before }, abort.signal)]).then(
      ([{ rules, heuristics }, { verdicts, batches, next_before }]) => {
        setData({ rules, heuristics, verdicts, batches: new Map(batches.map((batch) => [batch.id, batch])), next: next_before });
        setError(undefined);
      },
      (reason: unknown) => !abort.signal.aborted && setError(asApiError(reason)),
    );
    return () => abort.abort();
  }, [ended, before, turn]);
  useKeys("Noise", [{ keys: ["n"], text: "new rule", run: () => setDraft({}) }]);

  if (!data) return error ? <Failed error={error} retry={again} /> : <Loading what="rules and verdicts" />;
  const takeBack = async (what: Back, id: number) => {
    try {
      await send(`DELETE /api/v1/${what}/{id}`, undefined, { id });
      toast({ text: what === "rules" ? `Rule ${id} is out of force` : what === "verdicts" ? `Verdict ${id} was taken back` : "All of the batch was taken back", tone: "good" });
    } catch (reason) {
      const { message, detail } = asApiError(reason);
      toast({ text: `${message}. ${detail}`, tone: "bad" });
    }
    again();
  };
  return (
    <div class="noise">
      <header>
        <h2>Rules</h2>
        <p class="quiet">Allowed: known to be benign, behind everything else. Suppressed: not shown. Both act at once on the lists and count what they matched in each run.</p>
        <span class="spacer" />
        <label class="switch">
          <input type="checkbox" checked={ended} onChange={(event) => change({ ended: event.currentTarget.checked ? "on" : "", before: "" }, "replace")} />
          Those that ended too
        </label>
        <button type="button" class="primary" onClick={() => setDraft({})}>
          New rule …
        </button>
      </header>
      {error ? <Failed error={error} retry={again} /> : null}
      {data.rules.length === 0 ? (
        <Notice title="No rule is in force">
          <p>Make one here, or from a value's menu on the suspicious pages.</p>
        </Notice>
      ) : (
        <Rules rules={data.rules} onRetire={(id) => void takeBack("rules", id)} />
      )}
      {data.heuristics.length > 0 ? (
        <details class="heuristics">
          <summary>Rules that Apache Spot's notebooks had, none of which is in force by itself ({data.heuristics.length})</summary>
          <ul>
            {data.heuristics.map((one) => (
              <li key={one.name}>
                <strong>{one.name}</strong> <span class="quiet">{one.about}</span>{" "}
                <button type="button" class="small" onClick={() => setDraft({ heuristic: one })}>
                  Use …
                </button>
              </li>
            ))}
          </ul>
        </details>
      ) : null}
      <header>
        <h2>Verdicts</h2>
        <p class="quiet">What analysts said, latest first.</p>
      </header>
      {data.verdicts.length === 0 ? <p class="quiet">{before ? "There is no older one." : "Nobody has rated anything."}</p> : <Verdicts verdicts={data.verdicts} batches={data.batches} onTakeBack={(what, id) => void takeBack(what, id)} />}
      {before || data.next !== null ? (
        <nav class="pages" aria-label="Pages of verdicts">
          {before ? <button type="button" onClick={() => change({ before: "" })}>The latest</button> : null}
          {data.next !== null ? <button type="button" onClick={() => change({ before: String(data.next) })}>Older ones</button> : null}
        </nav>
      ) : null}
      {draft ? (
        <RuleDialog
          start={draft}
          onClose={() => setDraft(undefined)}
          onDone={() => {
            setDraft(undefined);
            again();
          }}
        />
      ) : null}
    </div>
  );
}

function Rules({ rules, onRetire }: { rules: readonly Rule[]; onRetire: (id: number) => void }) {
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Rule</th>
          <th scope="col">Does</th>
          <th scope="col">Of</th>
          <th scope="col">Takes</th>
          <th scope="col" class="end">
            Hits
          </th>
          <th scope="col">Last hit</th>
          <th scope="col">Until</th>
          <th scope="col">By</th>
          <th scope="col">State</th>
          <th scope="col">
            <span class="sr-only">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {rules.map((rule) => (
          <tr key={rule.id} class={rule.state === "in_force" ? "" : "ended"}>
            <th scope="row">
              <Wire text={rule.name ?? `Rule ${rule.id}`} limit={60} />
              {rule.note ? (
                <span class="note quiet">
                  <Wire text={rule.note} limit={120} />
                </span>
              ) : null}
            </th>
            <td>
              <span class={`pill ${rule.action === "allow" ? "solid" : "weak"}`}>{rule.action === "allow" ? "allows" : "suppresses"}</span>
            </td>
            <td>{SOURCE_NAMES[rule.source]}</td>
            <td>
              <Wire text={inWords(rule.matcher)} limit={160} class="mono" />
            </td>
            <td class="end num">{rule.hits === 0 ? <span class="quiet">0</span> : count(rule.hits)}</td>
            <td class="num">{rule.last_hit ? minute(rule.last_hit) : "–"}</td>
            <td class="num">{rule.expires ? minute(rule.expires) : "for ever"}</td>
            <td>
              <Wire text={rule.author} limit={30} />
              <span class="note quiet num">{minute(rule.created)}</span>
            </td>
            <td>{STATES[rule.state]}</td>
            <td class="end">
              {rule.state === "in_force" ? (
                <button type="button" class="small" aria-label={`End rule ${rule.id}`} onClick={() => onRetire(rule.id)}>
                  End
                </button>
              ) : null}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Verdicts({ verdicts, batches, onTakeBack }: { verdicts: readonly Verdict[]; batches: Data["batches"]; onTakeBack: (what: Back, id: number) => void }) {
  /** The batch that a verdict is the first of here. */
  const begun = (verdict: Verdict, at: number) => (verdict.batch === verdicts[at - 1]?.batch ? undefined : batches.get(verdict.batch ?? 0));
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Rating</th>
          <th scope="col">Of</th>
          <th scope="col">Reach</th>
          <th scope="col">By</th>
          <th scope="col">When</th>
          <th scope="col">Until</th>
          <th scope="col">Why</th>
          <th scope="col">State</th>
          <th scope="col">
            <span class="sr-only">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {verdicts.map((verdict, at) => (
          <tr key={verdict.id} class={verdict.state === "in_force" ? "" : "ended"}>
            <td>
              {verdict.severity} {SEVERITY[verdict.severity]}
            </td>
            <td>{SOURCE_NAMES[verdict.source]}</td>
            <td>
              {verdict.scope === "group" ? null : `${verdict.scope} `}
              <Wire text={inWords(verdict.matcher)} limit={120} class="mono" />
              {verdict.record_id ? (
                <>
                  {" "}
                  <a href={href("suspicious", [verdict.source], { date: verdict.first_seen?.slice(0, 10), show: "all", selected: verdict.record_id })}>record</a>
                </>
              ) : null}
              {verdict.batch ? (
                <span class="note quiet">
                  one of {count(batches.get(verdict.batch)?.given ?? 1)}: <Wire text={batches.get(verdict.batch)?.query ?? ""} limit={160} class="mono" />
                </span>
              ) : null}
            </td>
            <td>
              <Wire text={verdict.author} limit={30} />
            </td>
            <td class="num">{minute(verdict.time)}</td>
            <td class="num">{verdict.expires ? minute(verdict.expires) : "for ever"}</td>
            <td>{verdict.note ? <Wire text={verdict.note} limit={120} /> : "–"}</td>
            <td>{STATES[verdict.state]}</td>
            <td class="end">
              {verdict.state === "in_force" ? (
                <button type="button" class="small" aria-label={`Take back verdict ${verdict.id}`} onClick={() => onTakeBack("verdicts", verdict.id)}>
                  Take back
                </button>
              ) : null}
              {begun(verdict, at)?.standing ? (
                <button type="button" class="small" onClick={() => onTakeBack("verdict-batches", verdict.batch ?? 0)}>
                  … all {count(begun(verdict, at)?.standing ?? 0)}
                </button>
              ) : null}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface Start {
  heuristic?: Heuristic;
}

function RuleDialog({ start, onClose, onDone }: { start: Start; onClose: () => void; onDone: () => void }) {
  const from = start.heuristic;
  const [action, setAction] = useState<RuleAction>("allow");
  const [source, setSource] = useState<Source>(from?.source ?? "flow");
  const [fields, setFields] = useState<Record<string, string>>(() => Object.fromEntries(Object.entries(from?.matcher ?? {}).flatMap(([key, value]) => (value === null || value === undefined ? [] : [[key, String(value)]]))));
  const [name, setName] = useState(from?.name ?? "");
  const [note, setNote] = useState(from?.about ?? "");
  const [life, setLife] = useState(90);
  const [saving, setSaving] = useState(false);

  const part: Record<string, string | number> = {};
  let wrong = "";
  for (const { key, sources, label } of CONDITIONS) {
    const text = fields[key] ?? "";
    if (text.trim() === "" || !sources.includes(source)) continue;
    const value = readCondition(key, text);
    if (value === undefined) wrong = `${label}: a number is wanted, not ${text}`;
    else part[key] = value;
  }
  if (!wrong && Object.keys(part).length === 0) wrong = "Say what it takes: one condition at least.";
  const draft: RuleDraft | undefined = wrong
    ? undefined
    : { name: name.trim() || null, action, source, matcher: matcherOf(part), note: note.trim() || null, expires: life ? stamp(new Date(Date.now() + life * DAY)) : null, date: null };
  const save = async () => {
    if (!draft) return;
    setSaving(true);
    try {
      const rule = await send("POST /api/v1/rules", draft);
      toast({
        text: `Rule ${rule.id} ${rule.action === "allow" ? "allows" : "suppresses"} from now on`,
        tone: "good",
        action: { label: "Undo", run: () => send("DELETE /api/v1/rules/{id}", undefined, { id: rule.id }).then(onDone) },
      });
      onDone();
    } catch (reason) {
      const { message, detail } = asApiError(reason);
      toast({ text: `The rule was not made: ${message}. ${detail}`, tone: "bad" });
      setSaving(false);
    }
  };
  return (
    <Dialog
      title="New rule"
      wide
      onClose={onClose}
      actions={
        <>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="button" class="primary" disabled={!draft || saving} onClick={() => void save()}>
            Make the rule
          </button>
        </>
      }
    >
      <form
        class="rule-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (!saving) void save();
        }}
      >
        <div class="rule-fields">
          <label class="field">
            <span>Does</span>
            <select value={action} onChange={(event) => setAction(event.currentTarget.value as RuleAction)}>
              <option value="allow">allow: known to be benign</option>
              <option value="suppress">suppress: not shown</option>
            </select>
          </label>
          <label class="field">
            <span>Records</span>
            <select value={source} onChange={(event) => setSource(event.currentTarget.value as Source)}>
              {SOURCES.map((one) => (
                <option key={one} value={one}>
                  {SOURCE_NAMES[one]}
                </option>
              ))}
            </select>
          </label>
          {CONDITIONS.filter((condition) => condition.sources.includes(source)).map(({ key, label, hint }) => (
            <label key={key} class="field">
              <span>{label}</span>
              <input value={fields[key] ?? ""} placeholder={hint} spellcheck={false} onInput={(event) => setFields({ ...fields, [key]: event.currentTarget.value })} />
            </label>
          ))}
          <label class="field">
            <span>Name</span>
            <input value={name} maxLength={100} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
          <label class="field">
            <span>Why</span>
            <input value={note} maxLength={500} onInput={(event) => setNote(event.currentTarget.value)} />
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
          {wrong ? <p class="quiet">{wrong}</p> : null}
        </div>
        <Touched draft={draft} />
        <button type="submit" hidden />
      </form>
    </Dialog>
  );
}

/** What the rule would take, before it is made. */
function Touched({ draft }: { draft: RuleDraft | undefined }) {
  const [reach, setReach] = useState<Preview>();
  const [error, setError] = useState<ApiError>();
  const asked = draft ? JSON.stringify({ ...draft, name: null, note: null, expires: null }) : "";
  useEffect(() => {
    setError(undefined);
    setReach(undefined);
    if (!asked) return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      send("POST /api/v1/rules/preview", JSON.parse(asked) as RuleDraft, {}, abort.signal).then(setReach, (reason: unknown) => !abort.signal.aborted && setError(asApiError(reason)));
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [asked]);
  const facts: [string, number | null][] = reach
    ? [
        [`rows of the list of ${reach.date ?? "no day"}`, reach.rows],
        ["groups they form", reach.groups],
        ["rated already", reach.rated],
        ["best rank", reach.best_rank],
        [`rows of the lists of ${count(reach.days)} days`, reach.rows_of_all_days],
        ["records of the day, listed or not", reach.records],
        ["records of the day in all", reach.records_of_day],
        ["hosts they are of", reach.hosts],
      ]
    : [];
  return (
    <section class="touched" aria-label="What it takes" aria-live="polite">
      <h3>What it takes</h3>
      {error ? <p class="bad">{error.detail || error.message}</p> : null}
      {!reach && !error ? <p class="quiet">{asked ? "Counting …" : "Nothing yet."}</p> : null}
      <table class="facts">
        <tbody>
          {facts.map(([label, value]) => (
            <tr key={label}>
              <td class="end num">{value === null ? "–" : count(value)}</td>
              <th scope="row">{label}</th>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
