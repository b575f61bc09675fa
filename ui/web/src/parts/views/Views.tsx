// Views that were saved: columns, query, sort and what else the address says, but for the open record; with the time or
// without. Kept by the server for whoever saved them; shared ones are everybody's. One of them can be what the page
// begins with, for each account.

import { useEffect, useState } from "preact/hooks";
import { asApiError, get, send } from "../../api/client";
import type { SavedView } from "../../api/types";
import { loadMe } from "../../app/me";
import { format, go, parse, route } from "../../app/route";
import { duration, minute } from "../../text/time";
import { Wire } from "../../text/Wire";
import { loadDays, days } from "../time/days";
import { toast } from "../toast";
import { endOfRecords, listed, opened, TIMES } from "./time";
import "./style.css";

/** What belongs to the moment and not to the view. */
const PASSING = ["selected", "anchor", "marks", "open", "grown", "branches", "before", "seen", "record"];

type When = "none" | "relative" | "absolute";

/** The relative time of what is shown: a parameter, and how it is said; nothing where it has no place before the end. */
function relative(page: string): { params: Record<string, string>; text: string } | undefined {
  const { date, from, to } = route.value.params;
  if (from && to) {
    const seconds = Math.round((Date.parse(to) - Date.parse(from)) / 1000);
    return { params: { last: String(seconds) }, text: said({ last: String(seconds) }) };
  }
  const source = page.split("/")[1] ?? "";
  const ago = date ? listed(source).indexOf(date) : 0;
  return ago < 0 ? undefined : { params: { ago: String(ago) }, text: said({ ago: String(ago) }) };
}

/** A time as the menu says it. */
function said({ ago, last, date, from, to }: Record<string, string>): string {
  if (ago !== undefined) return ago === "0" ? "the latest day" : ago === "1" ? "the day before the latest" : `${ago} days before the latest`;
  if (last !== undefined) return `the last ${duration(Number(last))} of the records`;
  return from && to ? `${minute(from)} – ${minute(to)}` : (date ?? "");
}

function queryOf(page: string, when: When): string {
  const { page: name, path, params } = route.value;
  const drop = [...PASSING, ...(when === "absolute" ? [] : TIMES)];
  const kept = Object.fromEntries(Object.entries(params).filter(([param]) => !drop.includes(param)));
  // A day that nobody chose is not in the address.
  const day = when === "absolute" && !TIMES.some((param) => kept[param]) ? { date: listed(page.split("/")[1] ?? "")[0] ?? "" } : {};
  // What a page is about is part of its view, where it stands in the path: the address, the service, the story.
  const about = path.length > 0 && page === name ? { at: path.join("/") } : {};
  return format({ page: name, path, params: { ...kept, ...about, ...day, ...(when === "relative" ? relative(page)?.params : {}) } }).split("?")[1] ?? "";
}

/** Shows a view; a time that it does not say stays. */
function openView(view: SavedView): void {
  const { page, path, params } = route.value;
  const { at, ...wanted } = opened(view.query, path[0]);
  const has = TIMES.some((param) => wanted[param]);
  const kept = Object.fromEntries(Object.entries(params).filter(([param]) => !has && TIMES.includes(param)));
  go({ page, path: at?.split("/") ?? path, params: { ...kept, ...wanted } });
}

export function Views({ page, close }: { page: string; close: () => void }) {
  const [views, setViews] = useState<readonly SavedView[]>();
  const [name, setName] = useState("");
  const [shared, setShared] = useState(false);
  const [when, setWhen] = useState<When>("none");
  const fail = (what: string) => (error: unknown) => {
    const { message, detail } = asApiError(error);
    toast({ text: `${what}: ${message}. ${detail}`, tone: "bad" });
  };
  const load = () => get("/api/v1/views", { page }).then((list) => setViews(list.views), fail("The views could not be read"));
  useEffect(() => {
    void load();
    if (!days.value) void loadDays();
  }, [page]);
  const begin = (view: SavedView) => {
    const done = send(view.default ? "DELETE /api/v1/views/{id}/default" : "PUT /api/v1/views/{id}/default", undefined, { id: view.id });
    void done.then(() => Promise.all([load(), loadMe()]), fail("The view was not changed"));
  };
  const { from, to, date } = route.value.params;
  const [before, end] = [relative(page), endOfRecords()];
  const now = from && to ? { from, to } : { date: date ?? listed(page.split("/")[1] ?? "")[0] ?? "" };
  return (
    <div class="views">
      {views === undefined ? <p class="quiet">Loading …</p> : null}
      {views?.length === 0 ? <p class="quiet">No view is saved yet.</p> : null}
      <ul>
        {views?.map((view) => (
          <li key={view.id}>
            <button type="button" class="step" aria-pressed={view.default} aria-label={`Begin with the view ${view.name}`} title={view.default ? "The page begins with this view" : "Begin the page with this view"} onClick={() => begin(view)}>
              {view.default ? "★" : "☆"}
            </button>
            <button
              type="button"
              class="open"
              onClick={() => {
                close();
                openView(view);
              }}
            >
              <Wire text={view.name} limit={60} />
              <span class="quiet">
                {view.own ? null : (
                  <>
                    of <Wire text={view.owner} limit={30} />{" "}
                  </>
                )}
                {view.own && view.shared ? "shared " : null}
                {said(parse(`#/x?${view.query}`).params)} <Wire text={parse(`#/x?${view.query}`).params["at"] ?? ""} limit={40} />
              </span>
            </button>
            {view.own ? (
              <button type="button" class="step" aria-label={`Delete the view ${view.name}`} onClick={() => send("DELETE /api/v1/views/{id}", undefined, { id: view.id }).then(() => Promise.all([load(), loadMe()]), fail("The view was not deleted"))}>
                ×
              </button>
            ) : null}
          </li>
        ))}
      </ul>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!name.trim()) return;
          send("POST /api/v1/views", { page, name: name.trim(), shared, query: queryOf(page, when) }).then((view) => {
            toast({ text: `The view “${view.name}” is saved`, tone: "good" });
            setName("");
            void load();
          }, fail("The view was not saved"));
        }}
      >
        <label>
          <span class="sr-only">Name</span>
          <input value={name} maxLength={100} placeholder="Save what is shown as …" onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label>
          Time{" "}
          <select value={when} onChange={(event) => setWhen(event.currentTarget.value as When)}>
            <option value="none">not saved: what is shown stays</option>
            {before && end !== undefined ? <option value="relative">{before.text}</option> : null}
            <option value="absolute">{said(now)}</option>
          </select>
        </label>
        <label class="switch">
          <input type="checkbox" checked={shared} onChange={(event) => setShared(event.currentTarget.checked)} />
          For everybody
        </label>
        <button type="submit" class="small" disabled={!name.trim()}>
          Save
        </button>
      </form>
    </div>
  );
}
