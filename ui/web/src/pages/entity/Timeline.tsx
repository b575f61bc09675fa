// The records of all sources in one table, oldest first, page by page as one scrolls.

import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asApiError, get, send } from "../../api/client";
import type { Event, Story } from "../../api/types";
import { type At, change } from "../../app/route";
import { Bytes, Time } from "../../parts/cells";
import { Dialog } from "../../parts/Dialog";
import { ExportMenu } from "../../parts/ExportMenu";
import { entityHref, exportHref, investigateHref } from "../../parts/subject/links";
import { Host } from "../../parts/subject/Pivots";
import { Failed } from "../../parts/State";
import { type Column, Grid } from "../../parts/table/Grid";
import type { Range } from "../../parts/time/RangePicker";
import { Value } from "../../parts/value/Value";
import { toast } from "../../parts/toast";
import { escapeText } from "../../text/hostile";
import { SOURCE_NAMES, SOURCES, type Source } from "../../text/source";
import { exact, zoneLabel } from "../../text/time";
import { count } from "../../text/units";
import { Wire } from "../../text/Wire";

const SEVERITY = ["", "High", "Medium", "Low"];

interface Props {
  at: At;
  subject: string;
  range: Range;
}

export function TimelineTable({ at, subject, range }: Props) {
  const sources = at.params["sources"] ?? "";
  const flagged = at.params["flagged"] === "on";
  const order = at.params["order"] === "desc" ? "desc" : "asc";
  const filter = at.params["filter"] ?? "";
  const [rows, setRows] = useState<readonly Event[]>([]);
  const [cursor, setCursor] = useState<string | null>();
  const [error, setError] = useState<ApiError>();
  const [at_, setAt] = useState(-1);
  // A record that has not been scrolled to is opened when it has.
  const open = rows.find((row) => `${row.source}.${row.record_id}` === at.params["record"]);
  const setOpen = (row?: Event) => change({ record: row && `${row.source}.${row.record_id}` }, "replace");
  const [without, setWithout] = useState<readonly Source[]>([]);
  const [turn, setTurn] = useState(0);
  const running = useRef<AbortController>(undefined);
  const key = `${subject} ${range.from} ${range.to} ${sources} ${flagged} ${order} ${filter}`;

  const load = (from: string | undefined, before: readonly Event[]) => {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    get("/api/v1/timeline", { subject, from: range.from, to: range.to, sources: sources || undefined, flagged: flagged ? "true" : undefined, order, filter, cursor: from, limit: 500 }, abort.signal).then(
      (page) => {
        running.current = undefined;
        setRows([...before, ...page.rows]);
        setCursor(page.next_cursor);
        setWithout(page.without);
        setError(undefined);
      },
      (reason: unknown) => !abort.signal.aborted && ((running.current = undefined), setError(asApiError(reason))),
    );
  };
  useEffect(() => {
    setRows([]);
    setCursor(undefined);
    setAt(-1);
    load(undefined, []);
    return () => running.current?.abort();
  }, [key, turn]);

  const shown = sources === "" ? SOURCES : SOURCES.filter((source) => sources.split(",").includes(source));
  const toggle = (source: Source) => {
    const next = SOURCES.filter((one) => (one === source) !== shown.includes(one));
    change({ sources: next.length === SOURCES.length || next.length === 0 ? undefined : next.join(",") });
  };
  return (
    <section class="panel-box timeline" aria-labelledby="timeline">
      <header>
        <h2 id="timeline">In order of time</h2>
        <span class="quiet num" role="status">
          {cursor === undefined ? "loading …" : `${count(rows.length)}${cursor === null ? "" : "+"} ${rows.length === 1 ? "record" : "records"}`}
        </span>
        <span class="spacer" />
        <form
          class="of-records"
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            change({ filter: new FormData(event.currentTarget).get("query")?.toString().trim() });
          }}
        >
          <input key={filter} name="query" type="search" defaultValue={filter} aria-label="Query: which of the records" placeholder="ip == 10.0.0.0/8 and port == 445" spellcheck={false} autocomplete="off" />
        </form>
        <div class="tabs" role="group" aria-label="Sources">
          {SOURCES.map((source) => (
            <button key={source} type="button" class="small" aria-pressed={shown.includes(source)} onClick={() => toggle(source)}>
              {SOURCE_NAMES[source]}
            </button>
          ))}
        </div>
        <div class="tabs">
          <button type="button" class="small" aria-pressed={flagged} title="Only records that a run keeps as suspicious, or that have a verdict" onClick={() => change({ flagged: flagged ? undefined : "on" })}>
            Suspicious only
          </button>
          <button type="button" class="small" aria-pressed={order === "desc"} onClick={() => change({ order: order === "desc" ? undefined : "desc" })}>
            Latest first
          </button>
        </div>
        {shown.length === 1 ? (
          <ExportMenu to={(format) => exportHref(shown[0] ?? "flow", format, subject, range, { flagged, order, filter })} />
        ) : (
          // An export is of one table: of several, one file each.
          shown.filter((source) => !without.includes(source)).map((source) => <ExportMenu key={source} label={`Export ${SOURCE_NAMES[source]}`} to={(format) => exportHref(source, format, subject, range, { flagged, order, filter })} />)
        )}
      </header>
      {filter && without.length > 0 ? <p class="quiet none-found">The query asks for fields that records of {without.map((source) => SOURCE_NAMES[source]).join(" and ")} do not have: they are left out.</p> : null}
      {error ? (
        <Failed error={error} retry={() => setTurn(turn + 1)} />
      ) : cursor === null && rows.length === 0 ? (
        <p class="none-found">{filter ? "No record passes the query in this time." : flagged ? "Nothing suspicious in this time." : "No record in this time. Choose another range above."}</p>
      ) : (
        <div class="timeline-grid main-table" style={cursor === null ? { "--rows": rows.length } : undefined}>
          <Grid
            label="Records in order of time"
            columns={columns(range)}
            rows={rows}
            total={cursor === null ? rows.length : -1}
            keyOf={(row) => `${row.source} ${row.record_id}`}
            classOf={(row) => (row.severity === 1 ? "is-high" : "")}
            cursor={at_}
            selected={open ? `${open.source} ${open.record_id}` : ""}
            onCursor={setAt}
            onOpen={(index) => setOpen(rows[index])}
            onNearEnd={() => {
              if (cursor && !running.current) load(cursor, rows);
            }}
          />
        </div>
      )}
      {open ? <Record event={open} range={range} onClose={() => setOpen(undefined)} /> : null}
    </section>
  );
}

/** What was asked for; where it is a field of a query, with its menu. */
function what({ source, what: text }: Event) {
  const shown = <Wire text={text} limit={300} class="mono" />;
  if (source === "dns")
    return (
      <Value field="qname" value={text} kind="name">
        {shown}
      </Value>
    );
  const uri = source === "proxy" ? text.slice(text.indexOf(" ") + 1) : "";
  return uri ? (
    <Value field="uri" value={uri}>
      {shown}
    </Value>
  ) : (
    shown
  );
}

function columns(range: Range): Column<Event>[] {
  const address = (ip: string | null, port: number | null) =>
    ip === null ? (
      <span class="none">–</span>
    ) : (
      <>
        <Host ip={ip} range={range} />
        {port === null ? null : <span class="quiet mono">:{port}</span>}
      </>
    );
  return [
    { key: "time", label: `Time (${zoneLabel()})`, width: "196px", render: (row) => <Time time={row.first_seen} date="seconds" /> },
    { key: "source", label: "Source", width: "62px", render: (row) => <span class={`pill src-${row.source}`}>{SOURCE_NAMES[row.source]}</span> },
    { key: "src", label: "From", width: "minmax(150px, 1fr)", render: (row) => address(row.src_ip, row.src_port) },
    { key: "dst", label: "To", width: "minmax(150px, 1fr)", render: (row) => address(row.dst_ip, row.dst_port) },
    { key: "what", label: "What", width: "minmax(200px, 2.4fr)", render: what },
    { key: "outcome", label: "Outcome", width: "92px", render: (row) => (row.outcome ? <Wire text={row.outcome} limit={40} /> : <span class="none">–</span>) },
    { key: "detail", label: "Detail", width: "minmax(120px, 1.4fr)", render: (row) => (row.detail ? <Wire text={row.detail} limit={200} class="quiet" /> : null) },
    { key: "out", label: "Sent", width: "78px", align: "end", render: (row) => <Bytes value={row.bytes_out} /> },
    { key: "in", label: "Received", width: "78px", align: "end", render: (row) => <Bytes value={row.bytes_in} /> },
    {
      key: "judged",
      label: "Suspicion",
      width: "138px",
      render: (row) => (
        <>
          {row.severity ? <span class={`pill sev-${row.severity}`}>{SEVERITY[row.severity]}</span> : null} {row.rank ? <span class="pill">rank {count(row.rank)}</span> : null}{" "}
          {row.detectors.length > 0 ? <span title={row.detectors.map((detector) => `${detector.name}: ${escapeText(detector.evidence, 300)}`).join("\n")}>⚑{row.detectors.length}</span> : null}
        </>
      ),
    },
  ];
}

function Record({ event, range, onClose }: { event: Event; range: Range; onClose: () => void }) {
  const [stories, setStories] = useState<readonly Story[]>();
  useEffect(() => {
    get("/api/v1/stories", {}).then(
      (found) => setStories(found.stories),
      () => setStories([]),
    );
  }, []);
  const pin = async (story: Story) => {
    try {
      await send("POST /api/v1/stories/{story_id}/pins", { source: event.source, record_id: event.record_id, first_seen: event.first_seen, note: null }, { story_id: story.story_id });
      toast({ text: `Pinned to “${escapeText(story.title, 80)}”.`, tone: "good" });
      onClose();
    } catch (error) {
      toast({ text: asApiError(error).message, tone: "bad" });
    }
  };
  const rows: [string, string | null][] = [
    ["Time", `${exact(event.first_seen)} – ${exact(event.last_seen)}`],
    ["Sensor", event.sensor],
    ["From", `${event.src_ip}${event.src_port === null ? "" : ` port ${event.src_port}`}`],
    ["To", event.dst_ip === null ? null : `${event.dst_ip}${event.dst_port === null ? "" : ` port ${event.dst_port}`}`],
    ["Transport", event.transport],
    ["What", event.what],
    ["Outcome", event.outcome],
    ["Detail", event.detail],
    ["Verdict", event.severity === null ? null : `${SEVERITY[event.severity]} by ${event.severity_by ?? "?"}`],
    ["Detectors", event.detectors.map((detector) => `${detector.name}: ${detector.evidence}`).join("; ") || null],
    ["Record", event.record_id],
  ];
  return (
    <Dialog title={`${SOURCE_NAMES[event.source]} record`} wide onClose={onClose}>
      <dl class="record">
        {rows.map(([name, text]) =>
          text === null ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd class="mono">
                <Wire text={text} limit={2000} />
              </dd>
            </div>
          ),
        )}
      </dl>
      <p class="pivots">
        <a href={entityHref(event.src_ip, range)}>Everything about {escapeText(event.src_ip)}</a>
        {event.dst_ip ? <a href={entityHref(event.dst_ip, range)}>Everything about {escapeText(event.dst_ip)}</a> : null}
        {event.source === "dns" ? <a href={entityHref(event.what, range)}>Everything about the name</a> : null}
        {event.source === "proxy" ? <a href={investigateHref(event.what.slice(event.what.indexOf(" ") + 1), range)}>Investigate the URI</a> : null}
        {event.community_id ? <a href={entityHref(event.community_id, range)}>The same connection in all sources</a> : null}
      </p>
      <h3>Pin to a story</h3>
      {stories === undefined ? (
        <p class="quiet">…</p>
      ) : stories.length === 0 ? (
        <p class="quiet">There is no story yet. “Tell the story …” makes one.</p>
      ) : (
        <div class="pin-to">
          {stories.slice(0, 12).map((story) => (
            <button key={story.story_id} type="button" class="small" onClick={() => void pin(story)}>
              <Wire text={story.title} limit={80} />
            </button>
          ))}
        </div>
      )}
    </Dialog>
  );
}
