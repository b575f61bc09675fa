// Verdicts on rows: given at once, taken back at once. The server keeps who, when and how far; the list shows it.

import { signal } from "@preact/signals";
import { asApiError, send } from "../../api/client";
import type { VerdictScope, VerdictDraft } from "../../api/types";
import { toast } from "../../parts/toast";
import type { Source } from "../../text/source";
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

/** Ways back from what was given here, latest last: `u` takes the last one. */
let given: readonly (() => void)[] = [];
/** How many of them are kept. */
const MOST = 50;

/** Rows chosen for a verdict on all of them, by record_id. */
export const marked = signal<ReadonlyMap<string, Row>>(new Map());

/** Rows that may be marked: as many as a request may rate, and an address hold. */
const MARKS = 100;

export function mark(row: Row, on: boolean): void {
  const next = new Map(marked.value);
  if (!on) next.delete(row.record_id);
  else if (next.size < MARKS) next.set(row.record_id, row);
  else toast({ text: `${MARKS} rows may be marked. Score “all rows of the query” for more.`, tone: "bad" });
  marked.value = next;
}

/** Gives verdicts, says so with a way back, and calls `done` when the server has them. */
export async function rate(drafts: readonly VerdictDraft[], what: string, done: () => void): Promise<boolean> {
  const [first] = drafts;
  return first ? give(first.severity as Severity, what, send("POST /api/v1/verdicts", { verdicts: [...drafts] }).then(({ verdicts, batches }) => ({ id: verdicts[0]?.id ?? 0, batch: batches[0]?.id })), done) : false;
}

/** Says that verdicts were given, once they are, with a way back: of one, or of a batch as one. */
export async function give(severity: Severity, what: string, asked: Promise<{ id?: number; batch?: number | undefined }>, done: () => void): Promise<boolean> {
  try {
    const { id, batch } = await asked;
    const back = async () => {
      given = given.filter((other) => other !== back);
      try {
        await (batch ? send("DELETE /api/v1/verdict-batches/{id}", undefined, { id: batch }) : send("DELETE /api/v1/verdicts/{id}", undefined, { id }));
        toast({ text: `Taken back: ${what}` });
      } catch (error) {
        fail("Nothing was taken back", error);
      }
      done();
    };
    given = [...given, back].slice(-MOST);
    toast({ text: `Rated ${SEVERITIES[severity]}: ${what}. The ranks of others change with the next run.`, tone: "good", action: { label: "Undo", run: back } });
    done();
    return true;
  } catch (error) {
    fail("The verdict was not saved", error);
    return false;
  }
}

/** Takes back what was given last here; false if nothing was. */
export function undo(): boolean {
  const last = given.at(-1);
  last?.();
  return last !== undefined;
}

function fail(what: string, error: unknown): void {
  const { message, detail, action } = asApiError(error);
  toast({ text: `${what}: ${message}. ${detail || action}`, tone: "bad" });
}
