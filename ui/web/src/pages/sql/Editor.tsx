// A text field that proposes: ↑ ↓ choose, Tab or Enter takes, Esc closes. Ctrl+Enter runs.

import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { SqlSchema } from "../../api/types";
import { type Proposal, proposals, wordAt } from "./complete";

interface Props {
  value: string;
  schema: SqlSchema | undefined;
  onInput: (value: string) => void;
  onRun: () => void;
}

export function Editor({ value, schema, onInput, onRun }: Props) {
  const field = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  const [list, setList] = useState<readonly Proposal[]>([]);
  const [at, setAt] = useState(0);
  const caret = useRef<number | undefined>(undefined);

  useEffect(() => {
    // After a proposal was taken the caret stands behind it.
    if (caret.current === undefined || !field.current) return;
    field.current.setSelectionRange(caret.current, caret.current);
    caret.current = undefined;
  }, [value]);

  const take = (proposal: Proposal) => {
    const element = field.current;
    if (!element) return;
    const end = element.selectionStart;
    const start = end - wordAt(value, end).length;
    const text = proposal.text + (proposal.kind === "function" ? "(" : "");
    caret.current = start + text.length;
    onInput(value.slice(0, start) + text + value.slice(end));
    setList([]);
    element.focus();
  };

  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      setList([]);
      return onRun();
    }
    const chosen = list[at];
    if (!chosen) return;
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) {
      event.preventDefault();
      setAt((at + step + list.length) % list.length);
    } else if (event.key === "Tab" || (event.key === "Enter" && !event.shiftKey)) {
      event.preventDefault();
      take(chosen);
    } else if (event.key === "Escape") {
      event.preventDefault();
      setList([]);
    }
  };

  return (
    <div class="sql-editor">
      <textarea
        ref={field}
        aria-label="SQL statement"
        aria-autocomplete="list"
        aria-controls={list.length > 0 ? id : undefined}
        aria-activedescendant={list.length > 0 ? `${id}-${at}` : undefined}
        class="mono"
        rows={7}
        spellcheck={false}
        autocapitalize="off"
        value={value}
        onInput={(event) => {
          const { value: text, selectionStart } = event.currentTarget;
          onInput(text);
          setList(proposals(text, selectionStart, schema));
          setAt(0);
        }}
        onKeyDown={onKey}
        onBlur={() => setList([])}
      />
      {list.length > 0 ? (
        <ul id={id} class="sql-proposals" role="listbox" aria-label="Proposals">
          {list.map((proposal, index) => (
            <li
              key={proposal.kind + proposal.text}
              id={`${id}-${index}`}
              role="option"
              aria-selected={index === at}
              onMouseDown={(event) => {
                event.preventDefault();
                take(proposal);
              }}
            >
              <span class="mono">{proposal.text}</span> <span class="quiet">{proposal.kind}</span>
            </li>
          ))}
        </ul>
      ) : null}
    </div>
  );
}
