// A value that can be acted on: a right click, the small button that comes with the pointer, or `m` on the table's row
// open its menu (Menu.tsx).

import type { ComponentChildren } from "preact";
import { escapeText } from "../../text/hostile";
import { Wire } from "../../text/Wire";
import type { Kind } from "./links";

interface Props {
  /** Name of the field in queries. */
  field: string;
  value: string | number | null;
  kind?: Kind;
  /** What is shown; the value if left out. */
  children?: ComponentChildren;
  /** Characters of the value that are shown. */
  limit?: number;
  title?: string;
}

export function Value({ field, value, kind = "text", children, limit = 300, title }: Props) {
  if (value === null || value === "") return <span class="none">–</span>;
  const text = String(value);
  return (
    <span class="value" data-field={field} data-value={text} data-kind={kind} title={title ?? (typeof value === "string" ? escapeText(text, 1000) : undefined)}>
      {children ?? <Wire text={text} limit={limit} class="mono" />}
      <button type="button" class="more" tabIndex={-1} aria-label={`Actions for ${field}`} />
    </span>
  );
}

/** The same as a button, for places where the value itself is what one presses. */
export function ValueButton({ field, value, kind = "text", label, limit = 60 }: Props & { value: string; label?: string }) {
  return (
    <button type="button" class="value pivot" aria-haspopup="menu" data-field={field} data-value={value} data-kind={kind} title="What can be done with this value">
      {label ? `${label} ` : null}
      <Wire text={value} limit={limit} class="mono" />
    </button>
  );
}
