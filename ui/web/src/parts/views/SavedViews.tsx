// Views that were saved: columns, query, sort and what else the address says, but for the day and the open record. Kept by
// the server for whoever saved them; shared ones are everybody's.

import { useEffect, useState } from "preact/hooks";
import { asApiError, get, send } from "../../api/client";
import type { SavedView } from "../../api/types";
import { format, go, parse, route } from "../../app/route";
import { Wire } from "../../text/Wire";
import { Popover } from "../Popover";
import { toast } from "../toast";

/** What belongs to the moment and not to the view. */
const PASSING = ["date", "selected"];

function queryOf(): string {
  const { page, path, params } = route.value;
  const kept = Object.fromEntries(Object.entries(params).filter(([name]) => !PASSING.includes(name)));
  return format({ page, path, params: kept }).split("?")[1] ?? "";
}

/** Shows a view; the day that is shown stays. */
function openView(view: SavedView): void {
  const now = route.value;
  const { params } = parse(`#/${now.page}?${view.query}`);
  const kept = Object.fromEntries(Object.entries(now.params).filter(([name]) => name === "date"));
  go({ page: now.page, path: now.path, params: { ...params, ...kept } });
}

export function SavedViewsMenu({ page }: { page: string }) {
  return (
    <Popover label="Views" align="end">
      {(close) => <Views page={page} close={close} />}
    </Popover>
  );
}

function Views({ page, close }: { page: string; close: () => void }) {
  const [views, setViews] = useState<readonly SavedView[]>();
  const [name, setName] = useState("");
  const [shared, setShared] = useState(false);
  const fail = (what: string) => (error: unknown) => {
    const { message, detail } = asApiError(error);
    toast({ text: `${what}: ${message}. ${detail}`, tone: "bad" });
  };
  const load = () => get("/api/v1/views", { page }).then((list) => setViews(list.views), fail("The views could not be read"));
  useEffect(() => void load(), [page]);
  return (
    <div class="views">
      {views === undefined ? <p class="quiet">Loading …</p> : null}
      {views?.length === 0 ? <p class="quiet">No view is saved yet.</p> : null}
      <ul>
        {views?.map((view) => (
          <li key={view.id}>
            <button
              type="button"
              class="open"
              onClick={() => {
                close();
                openView(view);
              }}
            >
              <Wire text={view.name} limit={60} />
              {view.own ? null : (
                <span class="quiet">
                  of <Wire text={view.owner} limit={30} />
                </span>
              )}
              {view.own && view.shared ? <span class="quiet">shared</span> : null}
            </button>
            {view.own ? (
              <button type="button" class="step" aria-label={`Delete the view ${view.name}`} onClick={() => send("DELETE /api/v1/views/{id}", undefined, { id: view.id }).then(load, fail("The view was not deleted"))}>
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
          send("POST /api/v1/views", { page, name: name.trim(), shared, query: queryOf() }).then((view) => {
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
