// What is looked for, and when: the top of the pages about one thing.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useKeys } from "../../app/keys";
import { route } from "../../app/route";
import { type Range, RangePicker } from "../time/RangePicker";
import { SavedViewsMenu } from "../views/SavedViews";

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
    <div class="subject-bar">
      <form
        class="through"
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
      </form>
      <span class="spacer" />
      {children}
      <SavedViewsMenu page={route.value.page} />
    </div>
  );
}
