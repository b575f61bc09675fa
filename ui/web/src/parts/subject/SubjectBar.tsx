// What is looked for, and when: the top of the pages about one thing.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useKeys } from "../../app/keys";
import { type Range, RangePicker } from "../time/RangePicker";

interface Props {
  subject: string;
  range: Range | undefined;
  end: string | undefined;
  /** Both, as they are asked for. */
  onAsk: (subject: string, range: Range) => void;
  children?: ComponentChildren;
}

export function SubjectBar({ subject, range, end, onAsk, children }: Props) {
  const [text, setText] = useState(subject);
  useEffect(() => setText(subject), [subject]);
  useKeys("This page", [{ keys: ["/"], text: "what to look for", run: () => document.getElementById("subject")?.focus() }]);
  return (
    <form
      class="subject-bar"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim() && range) onAsk(text.trim(), range);
      }}
    >
      <label class="sr-only" for="subject">
        Address, network, name or URI
      </label>
      <input id="subject" type="text" value={text} placeholder="Address, network, name or URI" spellcheck={false} autocomplete="off" onInput={(event) => setText(event.currentTarget.value)} />
      <button type="submit" class="primary" disabled={!range}>
        Look
      </button>
      {range ? <RangePicker range={range} end={end} onPick={(next) => onAsk(text.trim() || subject, next)} /> : null}
      <span class="spacer" />
      {children}
    </form>
  );
}
