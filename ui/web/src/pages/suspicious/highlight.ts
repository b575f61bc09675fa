// What the table and the picture light up in each other.

import { signal } from "@preact/signals";

/** record_id of the row under the pointer in the table, or empty. */
export const hovered = signal("");
/** record_ids of the rows of what is under the pointer in the picture. */
export const lit = signal<ReadonlySet<string>>(new Set());
