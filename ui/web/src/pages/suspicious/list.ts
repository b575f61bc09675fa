// The rows of the suspicious page: pages of the ranked list, and the members of the groups that are open.

import { computed, signal } from "@preact/signals";
import { type ApiError, asApiError, get } from "../../api/client";
import type { DnsList, DnsRow, FlowList, FlowRow, ProxyList, ProxyRow } from "../../api/types";
import type { Source } from "../../text/source";
import type { Shows } from "./view";

export type Row = FlowRow | DnsRow | ProxyRow;
export type List = FlowList | DnsList | ProxyList;

/** A line of the table: a record, and whether it stands below the leader of its group. */
export interface Line {
  row: Row;
  member: boolean;
}

/** What is asked for. */
export interface Wanted {
  source: Source;
  date: string;
  filter: string;
  sort: string;
  flat: boolean;
  shows: Shows;
}

const PAGE = 250;

interface Members {
  rows: Row[];
  loading: boolean;
}

export class SuspiciousList {
  /** The first page's head: state, run, counts. */
  readonly head = signal<List | undefined>(undefined);
  readonly leaders = signal<Row[]>([]);
  readonly members = signal<ReadonlyMap<string, Members>>(new Map());
  readonly loading = signal(false);
  readonly error = signal<ApiError | undefined>(undefined);
  /** The source the rows on screen belong to: it changes with them, not before. */
  readonly source = signal<Source>("flow");

  readonly lines = computed<Line[]>(() => {
    const open = this.members.value;
    const out: Line[] = [];
    for (const row of this.leaders.value) {
      out.push({ row, member: false });
      for (const other of open.get(row.standing.group_id)?.rows ?? []) {
        if (other.record_id !== row.record_id) out.push({ row: other, member: true });
      }
    }
    return out;
  });

  private wanted: Wanted | undefined;
  private next: string | null = null;
  private abort = new AbortController();

  private ask(wanted: Wanted, more: Record<string, string>, signal: AbortSignal): Promise<List> {
    return get(
      `/api/v1/suspicious/${wanted.source}`,
      {
        date: wanted.date,
        filter: wanted.filter,
        sort: wanted.sort,
        groups: wanted.flat ? "off" : "on",
        show: wanted.shows,
        limit: PAGE,
        ...more,
      },
      signal,
    );
  }

  /** Loads the first page, of what was asked last where nothing else is. What is on its way is given up. */
  async load(wanted = this.wanted): Promise<void> {
    if (!wanted) return;
    this.abort.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.wanted = wanted;
    this.next = null;
    this.loading.value = true;
    this.error.value = undefined;
    if (this.source.value !== wanted.source) {
      this.leaders.value = [];
      this.head.value = undefined;
      this.source.value = wanted.source;
    }
    try {
      const list = await this.ask(wanted, {}, signal);
      // The answer may come after the next question.
      if (signal.aborted) return;
      this.head.value = list;
      this.leaders.value = list.rows;
      this.members.value = new Map();
      this.next = list.next_cursor;
      this.loading.value = false;
    } catch (error) {
      this.fail(error, signal);
    }
  }

  /** Loads the page after the last one, if there is one and it is not on its way. */
  async more(): Promise<void> {
    const { wanted, next } = this;
    if (!wanted || next === null || this.loading.value) return;
    const { signal } = this.abort;
    this.loading.value = true;
    try {
      const list = await this.ask(wanted, { cursor: next }, signal);
      if (signal.aborted) return;
      this.next = list.next_cursor;
      this.leaders.value = [...this.leaders.value, ...list.rows];
      this.loading.value = false;
    } catch (error) {
      this.fail(error, signal);
    }
  }

  /** Opens or closes the group that `row` leads. */
  async expand(row: Row, open: boolean): Promise<void> {
    if (row.standing.group_size > 1) await this.openGroup(row.standing.group_id, open);
  }

  /** Opens or closes a group. */
  async openGroup(id: string, open: boolean): Promise<void> {
    const { wanted } = this;
    if (!wanted || wanted.flat) return;
    const now = this.members.value;
    if (now.has(id) === open) return;
    const put = (value: Members | undefined) => {
      const map = new Map(this.members.value);
      if (value) map.set(id, value);
      else map.delete(id);
      this.members.value = map;
    };
    if (!open) {
      put(undefined);
      return;
    }
    const { signal } = this.abort;
    put({ rows: [], loading: true });
    try {
      const rows: Row[] = [];
      let cursor: string | null = "";
      while (cursor !== null && rows.length < 2000) {
        const list: List = await this.ask(wanted, { group: id, cursor, limit: "1000" }, signal);
        rows.push(...list.rows);
        cursor = list.next_cursor;
      }
      put({ rows, loading: false });
    } catch (error) {
      put(undefined);
      this.fail(error, signal);
    }
  }

  /** Does the row stand below the leader of its group? */
  isMember(row: Row): boolean {
    return this.lines.value.some((line) => line.member && line.row.record_id === row.record_id);
  }

  private fail(error: unknown, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.loading.value = false;
    this.error.value = asApiError(error);
  }
}
