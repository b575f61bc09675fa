// The ranked list of one source and day, with the picture beside it and the selected record below it.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { asApiError, get } from "../../api/client";
import type { Matcher } from "../../api/types";
import { useKeys } from "../../app/keys";
import { useMirror } from "../../app/param";
import { route } from "../../app/route";
import { shownZone } from "../../app/settings";
import { startOf } from "../../parts/feedback/start";
import { worst } from "../../parts/known";
import { later } from "../../parts/later";
import { Failed, Loading, Notice } from "../../parts/State";
import { chosenColumns } from "../../parts/table/ColumnChooser";
import { Grid } from "../../parts/table/Grid";
import { days, daysError, latest, loadDays, neighbour } from "../../parts/time/days";
import { toast } from "../../parts/toast";
import { useFilterTarget } from "../../parts/value/target";
import { escapeText } from "../../text/hostile";
import { count } from "../../text/units";
import type { PageProps } from "../registry";
import { Activity } from "./Activity";
import { columnsOf, STANDARD } from "./columns";
import { hovered, lit } from "./highlight";
import { type Line, type Row, SuspiciousList, type Wanted } from "./list";
import { draftOf, mark, marked, rate, scopeOf, type Severity, severityOf, undo } from "./scoring";
import { Splitter } from "./Splitter";
import { Toolbar } from "./Toolbar";
import { addressOf, show, type View, viewOf } from "./view";
import "./style.css";

const list = new SuspiciousList();
const Details = later(() => import("./Details").then((code) => code.Details), "the record");
const Picture = later(() => import("./picture/Picture").then((code) => code.Picture), "the picture");
const ScoreDialog = later(() => import("./ScoreDialog").then((code) => code.ScoreDialog), "the form");

export function Page({ at: place }: PageProps) {
  const at = viewOf(place);
  const cursor = useSignal(-1);
  const alone = useSignal<Row | undefined>(undefined);
  const dialog = useSignal<Scoring | undefined>(undefined);
  const all = days.value;
  const date = at.date || (all ? latest(all, at.source) : "");
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!days.value) void loadDays();
  }, []);

  const wanted: Wanted = { source: at.source, date, filter: at.filter, sort: at.sort, flat: at.flat, shows: at.shows };
  useEffect(() => {
    if (!date) return;
    cursor.value = -1;
    void list.load(wanted);
  }, [at.source, date, at.filter, at.sort, at.flat, at.shows]);
  useEffect(() => {
    marked.value = new Map();
  }, [at.source, date]);
  useMirror("marks", [...marked.value.keys()].join(" "), (text) => void import("./restore").then((code) => code.markAgain(at.source, date, text)));
  useMirror("open", [...list.members.value.keys()].join(" "), (text) => void import("./restore").then((code) => code.openAgain(list, text)));
  // The latest day of today is another one tomorrow: the address says which is shown, so that it can be sent.
  useEffect(() => {
    if (date && !at.date) show({ date }, "replace");
  }, [date, at.date]);

  const lines = list.lines.value;
  const rows = useMemo(() => lines.map((line) => line.row), [lines]);
  const ready = list.source.value === at.source;
  const index = at.selected ? lines.findIndex((line) => line.row.record_id === at.selected) : -1;
  const found = ready && index >= 0 ? lines[index]?.row : undefined;

  // A selected record that is not on the loaded pages (a link, a reload, another filter) is fetched by itself.
  useEffect(() => {
    if (alone.value && alone.value.record_id !== at.selected) alone.value = undefined;
    if (!at.selected || !date || found || list.loading.value) return;
    const abort = new AbortController();
    const asked: Promise<Row> = get(`/api/v1/suspicious/${at.source}/{record_id}`, { record_id: at.selected, date }, abort.signal);
    asked.then(
      (row) => {
        alone.value = row;
      },
      (error: unknown) => {
        if (!abort.signal.aborted && asApiError(error).status === 404) show({ selected: "" }, "replace");
      },
    );
    return () => abort.abort();
  }, [at.selected, at.source, date, found, list.loading.value]);

  useEffect(() => {
    if (index >= 0 && cursor.value < 0) cursor.value = index;
  }, [index]);

  const grid = () => box.current?.querySelector<HTMLElement>(".main-table .grid");
  const select = (to: number) => {
    const row = lines[to]?.row;
    if (row) show({ selected: row.record_id, anchor: "" }, "replace");
  };
  const close = () => {
    show({ selected: "", anchor: "" }, "replace");
    grid()?.focus();
  };
  const onTable = () => {
    // Nothing has the focus yet: give it to the table, and the key with it.
    const element = grid();
    if (!element || (document.activeElement !== document.body && document.activeElement?.id !== "main")) return false;
    element.focus();
    return true;
  };

  /** Rows that a verdict is about: the marked ones, else the one the keyboard is on, else the open one. */
  const subjects = (): readonly Row[] => {
    if (marked.value.size > 0) return [...marked.value.values()];
    const row = lines[cursor.value]?.row ?? selected;
    return row ? [row] : [];
  };
  const afterVerdict = () => {
    marked.value = new Map();
    // What was rated leaves the list; the keyboard stays where it was, on what came up.
    void list.load().then(() => {
      const last = list.lines.value.length - 1;
      cursor.value = Math.min(cursor.value, last);
      const row = list.lines.value[cursor.value]?.row;
      const now = viewOf(route.value);
      if (now.selected && row && now.shows === "open") show({ selected: row.record_id }, "replace");
    });
  };
  const rateNow = (severity: Severity) => {
    const rows = subjects();
    const [first] = rows;
    if (!first) {
      toast({ text: "Choose a row first: j and k move, x marks many." });
      return;
    }
    const grouped = !at.flat;
    const drafts = rows.map((row) => draftOf(at.source, row, severity, scopeOf(row, grouped && !list.isMember(row))));
    const size = first.standing.group_size;
    const what = rows.length > 1 ? `${count(rows.length)} rows` : `rank ${count(first.standing.rank)}${drafts[0]?.scope === "group" ? `, its group of ${count(size)}` : ""}`;
    void rate(drafts, what, afterVerdict);
  };
  const openScore = () => void (dialog.value = { rows: subjects() });
  const takeLastBack = () => {
    if (!undo()) toast({ text: "Nothing was scored here since the page was opened. Choose “Scored” to find older verdicts." });
  };

  useKeys("Suspicious", [
    {
      keys: ["j", "k", "ArrowDown", "ArrowUp"],
      text: "next, previous row",
      run: (key) => onTable() && void document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })),
    },
    { keys: ["Enter"], text: "open the record" },
    { keys: ["ArrowUp"], text: "on the first row: to the heads, where Enter sorts" },
    { keys: ["ArrowRight", "ArrowLeft"], text: "open, close the group" },
    {
      keys: ["1", "2", "3"],
      text: "rate high, medium, low",
      run: (key) => {
        const severity = severityOf(key);
        if (severity) rateNow(severity);
      },
    },
    { keys: ["s"], text: "score: how far, what it touches; all rows of the query", run: openScore },
    { keys: ["q"], text: "quick scoring", run: () => void (dialog.value = { rows: [] }) },
    { keys: ["u"], text: "take the last score back", run: takeLastBack },
    {
      keys: ["x"],
      text: "mark the row",
      run: () => {
        const row = lines[cursor.value]?.row;
        if (row) mark(row, !marked.value.has(row.record_id));
      },
    },
    { keys: ["/"], text: "query", run: () => document.getElementById("filter")?.focus() },
    {
      keys: ["[", "]"],
      text: "day before, day after",
      run: (key) => {
        const to = all ? neighbour(all, at.source, date, key === "[" ? -1 : 1) : undefined;
        if (to) show({ date: to, selected: "" });
      },
    },
    { keys: ["r"], text: "read the list again", run: () => void list.load() },
    { keys: ["v"], text: "the picture beside the table", run: () => show({ graph: !at.graph }, "replace") },
    { keys: ["Escape"], text: "close the details", run: () => (at.selected ? close() : false) },
  ]);

  useFilterTarget({
    // Of the raw records in the details alone.
    knows: (field) => !["answers", "damage", "exporter_ip"].includes(field),
    query: at.filter,
    apply: (filter) => show({ filter }),
    address: (filter) => addressOf({ ...at, date, filter, selected: "" }),
    extra: (field, value) => {
      const start = startOf(field, value);
      return start ? [{ label: "Score …", hint: "and see what it touches", run: () => void (dialog.value = { rows: [], start }) }] : [];
    },
  });

  const marks = useMemo(() => rows.some((row) => row.known.length > 0), [rows]);
  const columns = useMemo(
    () =>
      columnsOf(at.source, {
        isOpen: (id) => list.members.value.has(id),
        toggle: (row) => void list.expand(row, !list.members.value.has(row.standing.group_id)),
        flat: at.flat,
        marks,
      }),
    [at.source, at.flat, list.members.value, marked.value, shownZone.value, marks],
  );
  const shown = useMemo(() => chosenColumns(columns, at.cols, STANDARD[at.source]), [columns, at.cols]);

  if (daysError.value && !all) return <Failed error={daysError.value} retry={() => void loadDays()} />;
  if (!all) return <Loading what="days" />;
  const selected = found ?? (alone.value?.record_id === at.selected ? alone.value : undefined);
  const head = ready ? list.head.value : undefined;

  return (
    <div class="suspicious" ref={box}>
      <Toolbar
        at={at}
        date={date}
        head={head}
        days={all}
        loading={list.loading.value}
        all={columns}
        shown={shown}
        onScore={openScore}
        onQuick={() => (dialog.value = { rows: [] })}
        onRate={rateNow}
        onUndo={takeLastBack}
      />
      {date && head?.state === "ready" ? <Activity source={at.source} date={date} lines={lines} selected={at.selected} /> : null}
      <div class={at.graph ? "upper with-graph" : "upper"}>
        <div class="main-table">
          {list.error.value && !head ? (
            <Failed error={list.error.value} retry={() => void list.load()} />
          ) : (
            <Body at={at} date={date} lines={ready ? lines : []}>
              <Grid<Line>
                label={`Suspicious ${at.source} records of ${date}, most suspicious first`}
                columns={shown}
                rows={ready ? lines : []}
                total={at.flat ? (head?.matching ?? lines.length) : lines.length}
                keyOf={(line) => line.row.record_id}
                classOf={(line) => `${line.member ? "member" : ""}${lit.value.has(line.row.record_id) ? " lit" : ""}${marked.value.has(line.row.record_id) ? " marked" : ""} rep${worst(line.row.known)}`}
                cursor={cursor.value}
                selected={at.selected}
                sort={at.sort || "rank"}
                onSort={(sort) => show({ sort: sort === "rank" ? "" : sort }, "replace")}
                onCursor={(to) => {
                  cursor.value = to;
                  if (at.selected) select(to);
                }}
                onOpen={select}
                onHover={(to) => (hovered.value = lines[to]?.row.record_id ?? "")}
                onExpand={(to, open) => {
                  const row = lines[to]?.row;
                  if (row) void list.expand(row, open);
                }}
                onNearEnd={() => void list.more()}
              />
            </Body>
          )}
        </div>
        {at.graph && ready && head?.state === "ready" ? <Picture source={at.source} date={date} rows={rows} selected={at.selected} query={at.filter} hide={at.hide} /> : null}
      </div>
      {list.error.value && head ? <p class="strip-error" role="alert">{list.error.value.message}. {list.error.value.detail || list.error.value.action}</p> : null}
      {selected ? (
        <>
          <Splitter />
          <Details key={at.source} at={at} date={date} row={selected} onClose={close} onRate={rateNow} />
        </>
      ) : null}
      {dialog.value ? (
        <ScoreDialog
          source={at.source}
          date={date}
          list={{ at, matching: head?.matching ?? 0 }}
          rows={dialog.value.rows}
          start={dialog.value.start}
          grouped={!at.flat}
          onClose={() => (dialog.value = undefined)}
          onDone={afterVerdict}
        />
      ) : null}
    </div>
  );
}

/** What the scoring dialog begins from. */
interface Scoring {
  rows: readonly Row[];
  start?: Partial<Matcher>;
}

/** The table, or what to do where there is nothing in it. */
function Body({ at, date, lines, children }: { at: View; date: string; lines: readonly Line[]; children: preact.ComponentChildren }) {
  const head = list.source.value === at.source ? list.head.value : undefined;
  if (!date) {
    return (
      <Notice title="The lake is empty">
        <p>
          Bring records in with <code>spotter import capture.pcap</code>, or make a day with known attacks with <code>spotter demo</code>.
        </p>
        <button type="button" onClick={() => void loadDays()}>
          Look again
        </button>
      </Notice>
    );
  }
  if (!head) return <Loading what={`${at.source} records of ${date}`} />;
  if (head.date !== date && list.loading.value) return <Loading what={`${at.source} records of ${date}`} />;
  if (head.state === "no_data") {
    return (
      <Notice title={`No ${at.source} records on ${date}`}>
        <p>Choose a day that is marked in the calendar, or import a capture of this day.</p>
      </Notice>
    );
  }
  if (head.state === "not_scored") {
    return (
      <Notice title={`No scores for ${date}`}>
        <p>
          There are {head.records.toLocaleString("en-US")} {at.source} records. Score them with{" "}
          <code>
            spotter score --source {at.source} --date {date}
          </code>
        </p>
        <button type="button" onClick={() => void list.load()}>
          Look again
        </button>
      </Notice>
    );
  }
  if (lines.length === 0 && !list.loading.value) {
    return (
      <Notice title={at.filter ? "Nothing passes the filter" : "The run kept no record"}>
        {at.filter ? (
          <>
            <p>
              No scored {at.source} record of {date} matches <code>{escapeText(at.filter, 200)}</code>. The run keeps the most suspicious records of the
              day only.
            </p>
            <button type="button" onClick={() => show({ filter: "" })}>
              Clear the filter
            </button>
          </>
        ) : (
          <p>Raise the limit of the run: spotter score --limit N.</p>
        )}
      </Notice>
    );
  }
  return <>{children}</>;
}
