// What an address said of marks and open groups, done again: loaded only where it said something.

import { effect } from "@preact/signals";
import { get } from "../../api/client";
import type { Source } from "../../text/source";
import { toast } from "../../parts/toast";
import type { Row, SuspiciousList } from "./list";
import { marked } from "./scoring";

/** At most so many: an address may come from anywhere. */
const MOST = 100;

function words(text: string, pattern: RegExp): string[] {
  const all = [...new Set(text.split(" "))].filter((word) => pattern.test(word));
  if (all.length > MOST) toast({ text: `The address names ${all.length} of them: the first ${MOST} are there again.`, tone: "bad" });
  return all.slice(0, MOST);
}

/** Marks the rows of these records that the day's run still has. */
export async function markAgain(source: Source, date: string, text: string): Promise<void> {
  const ids = words(text, /^[0-9a-f]{32}$/);
  const known = marked.value;
  const rows = await Promise.all(ids.map((record_id): Promise<Row | undefined> | Row => known.get(record_id) ?? get(`/api/v1/suspicious/${source}/{record_id}`, { record_id, date }).catch(() => undefined)));
  marked.value = new Map(rows.flatMap((row) => (row ? [[row.record_id, row]] : [])));
}

/** Opens these groups when the list is there, and closes others. */
export function openAgain(list: SuspiciousList, text: string): void {
  const ids = words(text, /^[0-9a-f]{16}$/);
  const stop = effect(() => {
    if (list.loading.value || !list.head.value) return;
    queueMicrotask(() => stop());
    for (const id of list.members.peek().keys()) if (!ids.includes(id)) void list.openGroup(id, false);
    for (const id of ids) void list.openGroup(id, true);
  });
}
