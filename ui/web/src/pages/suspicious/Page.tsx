// The ranked list of one source and day, with the picture beside it and the selected record below it.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { asApiError, get } from "../../api/client";
import { useKeys } from "../../app/keys";
import { zone } from "../../app/settings";
import { later } from "../../parts/later";
import { Failed, Loading, Notice } from "../../parts/State";
import { chosenColumns } from "../../parts/table/ColumnChooser";
import { Grid } from "../../parts/table/Grid";
import { days, daysError, latest, loadDays, neighbour } from "../../parts/time/days";
import { useFilterTarget } from "../../parts/value/target";
import { escapeText } from "../../text/hostile";
import type { PageProps } from "../registry";
import { Activity } from "./Activity";
import { columnsOf, STANDARD } from "./columns";
import { Details } from "./Details";
import { hovered, lit } from "./highlight";
import { type Line, type Row, SuspiciousList, type Wanted } from "./list";
import { Splitter } from "./Splitter";
import { Toolbar } from "./Toolbar";
import { addressOf, show, type View, viewOf } from "./view";
import "./style.css";

const list = new SuspiciousList();
const Picture = later(() => import("./picture/Picture").then((code) => code.Picture), "the picture");

export function Page({ at: place }: PageProps) {
  const at = viewOf(place);
  const cursor = useSignal(-1);
  const alone = useSignal<Row | undefined>(undefined);
  const all = days.value;
  const date = at.date || (all ? latest(all, at.source) : "");
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!days.value) void loadDays();
  }, []);

  const wanted: Wanted = { source: at.source, date, filter: at.filter, sort: at.sort, flat: at.flat };
  useEffect(() => {
    if (!date) return;
    cursor.value = -1;
    void list.load(wanted);
  }, [at.source, date, at.filter, at.sort, at.flat]);

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

  useKeys("Suspicious", [
    {
      keys: ["j", "k", "ArrowDown", "ArrowUp"],
      text: "next, previous row",
      run: (key) => onTable() && void document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })),
    },
    { keys: ["Enter"], text: "open the record" },
    { keys: ["ArrowRight", "ArrowLeft"], text: "open, close the group" },
    { keys: ["/"], text: "query", run: () => document.getElementById("filter")?.focus() },
    {
      keys: ["[", "]"],
      text: "day before, day after",
      run: (key) => {
        const to = all ? neighbour(all, at.source, date, key === "[" ? -1 : 1) : undefined;
        if (to) show({ date: to, selected: "" });
      },
    },
    { keys: ["v"], text: "the picture beside the table", run: () => show({ graph: !at.graph }, "replace") },
    { keys: ["Escape"], text: "close the details", run: () => (at.selected ? close() : false) },
  ]);

  useFilterTarget({
    knows: (field) => field !== "answers",
    query: at.filter,
    apply: (filter) => show({ filter }),
    address: (filter) => addressOf({ ...at, date, filter, selected: "" }),
  });

  const columns = useMemo(
    () =>
      columnsOf(at.source, {
        isOpen: (id) => list.members.value.has(id),
        toggle: (row) => void list.expand(row, !list.members.value.has(row.standing.group_id)),
        flat: at.flat,
      }),
    [at.source, at.flat, list.members.value, zone.value],
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
      />
      {date && head?.state === "ready" ? <Activity source={at.source} date={date} lines={lines} selected={at.selected} /> : null}
      <div class={at.graph ? "upper with-graph" : "upper"}>
        <div class="main-table">
          {list.error.value && !head ? (
            <Failed error={list.error.value} retry={() => void list.load(wanted)} />
          ) : (
            <Body at={at} wanted={wanted} date={date} lines={ready ? lines : []}>
              <Grid<Line>
                label={`Suspicious ${at.source} records of ${date}, most suspicious first`}
                columns={shown}
                rows={ready ? lines : []}
                total={at.flat ? (head?.matching ?? lines.length) : lines.length}
                keyOf={(line) => line.row.record_id}
                classOf={(line) => `${line.member ? "member" : ""}${lit.value.has(line.row.record_id) ? " lit" : ""}`}
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
          <Details key={at.source} at={at} date={date} row={selected} onClose={close} />
        </>
      ) : null}
    </div>
  );
}

/** The table, or what to do where there is nothing in it. */
function Body({ at, wanted, date, lines, children }: { at: View; wanted: Wanted; date: string; lines: readonly Line[]; children: preact.ComponentChildren }) {
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
        <button type="button" onClick={() => void list.load(wanted)}>
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
