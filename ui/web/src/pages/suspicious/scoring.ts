// Verdicts on rows: given at once, taken back at once. The server keeps who, when and how far; the list shows it.

import { signal } from "@preact/signals";
import { asApiError, send } from "../../api/client";
import type { VerdictScope, VerdictDraft } from "../../api/types";
import { toast } from "../../parts/toast";
import type { Source } from "../../text/source";
import { count } from "../../text/units";
import type { Row } from "./list";

export type Severity = 1 | 2 | 3;
export const SEVERITIES: Record<Severity, string> = { 1: "high", 2: "medium", 3: "low" };

export function severityOf(key: string): Severity | undefined {
  return key === "1" ? 1 : key === "2" ? 2 : key === "3" ? 3 : undefined;
}

/** How far a verdict on a row reaches if nobody says: a group that stands as one line is judged as one. */
export const scopeOf = (row: Row, grouped: boolean): VerdictScope => (grouped && row.standing.group_size > 1 ? "group" : "record");

export function draftOf(source: Source, row: Row, severity: Severity, scope: VerdictScope, more: Partial<VerdictDraft> = {}): VerdictDraft {
  return { source, record_id: row.record_id, date: row.first_seen.slice(0, 10), scope, matcher: null, severity, note: null, expires: null, supersedes: null, ...more };
}

/** What was given last, latest last: `u` takes it back. */
const given = signal<readonly (readonly number[])[]>([]);
/** Batches that can be taken back, at most. */
const MOST = 50;

/** Rows chosen for a verdict on all of them, by record_id. */
export const marked = signal<ReadonlyMap<string, Row>>(new Map());

export function mark(row: Row, on: boolean): void {
  const next = new Map(marked.value);
  if (on) next.set(row.record_id, row);
  else next.delete(row.record_id);
  marked.value = next;
}

/** Gives verdicts, says so with a way back, and calls `done` when the server has them. */
export async function rate(drafts: readonly VerdictDraft[], what: string, done: () => void): Promise<boolean> {
  const [first] = drafts;
  if (!first) return false;
  try {
    const { verdicts } = await send("POST /api/v1/verdicts", { verdicts: [...drafts] });
    const ids = verdicts.map((verdict) => verdict.id);
    given.value = [...given.value, ids].slice(-MOST);
    toast({
      text: `Rated ${SEVERITIES[first.severity as Severity] ?? first.severity}: ${what}. The ranks of others change with the next run.`,
      tone: "good",
      action: { label: "Undo", run: () => takeBack(ids, done) },
    });
    done();
    return true;
  } catch (error) {
    fail("The verdict was not saved", error);
    return false;
  }
}

/** Takes verdicts back. */
export async function takeBack(ids: readonly number[], done: () => void): Promise<void> {
  given.value = given.value.filter((batch) => batch !== ids && batch.join() !== ids.join());
  let back = 0;
  try {
    for (const id of ids) {
      await send("DELETE /api/v1/verdicts/{id}", undefined, { id });
      back += 1;
    }
    toast({ text: ids.length === 1 ? "The verdict was taken back" : `${count(ids.length)} verdicts were taken back` });
  } catch (error) {
    fail(back === 0 ? "The verdict was not taken back" : `${back} of ${ids.length} verdicts were taken back`, error);
  }
  done();
}

/** Takes back what was given last here; false if nothing was. */
export function undo(done: () => void): boolean {
  const last = given.value.at(-1);
  if (!last) return false;
  void takeBack(last, done);
  return true;
}

function fail(what: string, error: unknown): void {
  const { message, detail, action } = asApiError(error);
  toast({ text: `${what}: ${message}. ${detail || action}`, tone: "bad" });
}
