// A list that the server sorts and filters and hands out page by page, each with the key of the next one.

import { signal } from "@preact/signals";
import { type ApiError, asApiError } from "../../api/client";

/** What a page must have; the rest of the first one is kept as the list's head. */
export interface Page<Row> {
  rows: Row[];
  next_cursor: string | null;
}

/** Asks for a page; `cursor` is empty for the first. */
export type Ask<Row, P extends Page<Row>> = (cursor: string, signal: AbortSignal) => Promise<P>;

export class PagedList<Row, P extends Page<Row> = Page<Row>> {
  readonly head = signal<P | undefined>(undefined);
  readonly rows = signal<readonly Row[]>([]);
  readonly loading = signal(false);
  readonly error = signal<ApiError | undefined>(undefined);

  private ask: Ask<Row, P> | undefined;
  private next: string | null = null;
  private abort = new AbortController();

  /** Loads the first page; what was asked before is given up. The rows on screen stay until the new ones are there. */
  async load(ask: Ask<Row, P>): Promise<void> {
    this.stop();
    const { signal } = this.abort;
    this.ask = ask;
    this.next = null;
    this.loading.value = true;
    this.error.value = undefined;
    try {
      const page = await ask("", signal);
      this.head.value = page;
      this.rows.value = page.rows;
      this.next = page.next_cursor;
      this.loading.value = false;
    } catch (error) {
      this.fail(error, signal);
    }
  }

  /** Asks again for what is shown. */
  async reload(): Promise<void> {
    if (this.ask) await this.load(this.ask);
  }

  /** Loads the next page, if there is one and it is not on its way. */
  async more(): Promise<void> {
    const { ask, next } = this;
    if (!ask || next === null || this.loading.value) return;
    const { signal } = this.abort;
    this.loading.value = true;
    try {
      const page = await ask(next, signal);
      this.next = page.next_cursor;
      this.rows.value = [...this.rows.value, ...page.rows];
      this.loading.value = false;
    } catch (error) {
      this.fail(error, signal);
    }
  }

  /** Forgets the rows: they are of something else. */
  clear(): void {
    this.stop();
    this.head.value = undefined;
    this.rows.value = [];
  }

  /** Gives up what is on its way. */
  stop(): void {
    this.abort.abort();
    this.abort = new AbortController();
    this.loading.value = false;
  }

  private fail(error: unknown, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.loading.value = false;
    this.error.value = asApiError(error);
  }
}
