// The query bar: one grammar for flows, DNS and proxy, read by the server. What is wrong is underlined as one types;
// fields, comparisons and values of the day are suggested. Enter or Ctrl-Enter asks.

import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { asApiError, get } from "../../api/client";
import type { QueryAnswer, Suggestion } from "../../api/types";
import type { Source } from "../../text/source";
import { count } from "../../text/units";
import { Wire } from "../../text/Wire";
import { Popover } from "../Popover";
import { toast } from "../toast";

/** Typing is left alone for this long before the server is asked, ms. */
const PAUSE = 120;

interface Props {
  source: Source;
  date: string;
  query: string;
  onQuery: (query: string) => void;
}

interface Looked {
  /** The text that was looked at. */
  text: string;
  answer: QueryAnswer;
}

export function QueryBar({ source, date, query, onQuery }: Props) {
  const [text, setText] = useState(query);
  const [cursor, setCursor] = useState<number>();
  const [looked, setLooked] = useState<Looked>();
  const [at, setAt] = useState(-1);
  const [open, setOpen] = useState(false);
  const [problem, setProblem] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const mirror = useRef<HTMLDivElement>(null);
  const id = useId();

  useEffect(() => {
    setText(query);
    setCursor(undefined);
  }, [query]);

  useEffect(() => {
    if (text === "" && cursor === undefined) {
      setLooked(undefined);
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      get("/api/v1/query/{source}", { source, date, q: text, at: cursor }, abort.signal).then(
        (answer) => {
          setLooked({ text, answer });
          setAt(-1);
          setProblem("");
        },
        (error: unknown) => !abort.signal.aborted && setProblem(asApiError(error).message),
      );
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text, cursor, source, date]);

  const answer = looked?.text === text ? looked.answer : undefined;
  const fault = answer?.fault ?? undefined;
  const suggestions = open && answer ? answer.suggestions : [];
  const shownFault = fault && (!open || suggestions.length === 0 || fault.end < text.length || at < 0) ? fault : undefined;

  const follow = () => {
    if (mirror.current && input.current) mirror.current.scrollLeft = input.current.scrollLeft;
  };
  useLayoutEffect(follow);

  const look = (element: HTMLInputElement) => {
    setText(element.value);
    setCursor(element.selectionStart ?? element.value.length);
    setOpen(true);
  };
  const ask = () => {
    if (fault && answer) {
      input.current?.setSelectionRange(fault.start, fault.end);
      setOpen(false);
      return;
    }
    setOpen(false);
    onQuery(text.trim());
  };
  const insert = (suggestion: Suggestion) => {
    const replace = answer?.replace;
    if (!replace || !input.current) return;
    const before = text.slice(0, replace.start) + suggestion.insert;
    const after = text.slice(replace.end);
    const next = `${before}${after.startsWith(" ") || after.startsWith(")") ? "" : " "}${after}`;
    const place = before.length + 1;
    setText(next);
    setCursor(place);
    input.current.value = next;
    input.current.setSelectionRange(place, place);
    input.current.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const many = suggestions.length;
    switch (event.key) {
      case "ArrowDown":
      case "ArrowUp":
        if (many === 0) {
          if (input.current) look(input.current);
        } else if (event.key === "ArrowDown") setAt(at + 1 >= many ? -1 : at + 1);
        else setAt(at < 0 ? many - 1 : at - 1);
        break;
      case "Enter": {
        const chosen = event.ctrlKey || event.metaKey ? undefined : suggestions[at];
        if (chosen) insert(chosen);
        else ask();
        break;
      }
      case "Tab": {
        const chosen = suggestions[Math.max(0, at)];
        if (!chosen || text === "" || event.shiftKey) return;
        insert(chosen);
        break;
      }
      case " ":
        if (!event.ctrlKey) return;
        if (input.current) look(input.current);
        break;
      case "Escape":
        if (many > 0) setOpen(false);
        else if (text !== query) setText(query);
        else if (query) onQuery("");
        else input.current?.blur();
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const state = fault ? "bad" : text.trim() === "" ? "" : answer ? "good" : "";
  return (
    <div class="query" role="search">
      <div class={`query-box ${state}`}>
        <div class="query-mirror" ref={mirror} aria-hidden="true">
          {shownFault ? (
            <>
              {text.slice(0, shownFault.start)}
              <span class="fault">{text.slice(shownFault.start, shownFault.end) || " "}</span>
            </>
          ) : null}
        </div>
        <input
          id="filter"
          ref={input}
          role="combobox"
          aria-label="Query"
          aria-autocomplete="list"
          aria-expanded={suggestions.length > 0}
          aria-controls={`${id}-list`}
          aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
          aria-invalid={fault ? true : undefined}
          aria-describedby={`${id}-fault`}
          placeholder={PLACEHOLDERS[source]}
          value={text}
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          onInput={(event) => look(event.currentTarget)}
          onClick={(event) => look(event.currentTarget)}
          onScroll={follow}
          onKeyDown={onKeyDown}
          onBlur={() => setOpen(false)}
        />
        {text ? (
          <button type="button" class="clear" aria-label="Clear the query" onClick={() => (setText(""), onQuery(""))}>
            ×
          </button>
        ) : (
          <kbd aria-hidden="true">/</kbd>
        )}
      </div>
      <p id={`${id}-fault`} class="query-fault" role="status">
        {problem || (shownFault ? `${shownFault.message}, at character ${shownFault.start + 1}` : "")}
      </p>
      <ul id={`${id}-list`} class="suggestions" role="listbox" aria-label="How it may go on" hidden={suggestions.length === 0}>
        {suggestions.map((one, index) => (
          <li
            key={one.insert}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            onPointerDown={(event) => {
              event.preventDefault();
              insert(one);
            }}
          >
            <Wire text={one.insert} limit={80} class="mono" />
            <span class="quiet">{one.count === null ? one.help : count(one.count)}</span>
          </li>
        ))}
      </ul>
      <Sql source={source} date={date} text={text} answer={answer} />
    </div>
  );
}

const PLACEHOLDERS: Record<Source, string> = {
  flow: "src_ip == 10.0.0.0/8 and dst_port in (22, 3389)",
  dns: "qname == *.example.com or rcode == NXDOMAIN",
  proxy: "method == POST and not host == *.example.com",
};

/** The same question in SQL. */
function Sql({ source, date, text, answer }: { source: Source; date: string; text: string; answer: QueryAnswer | undefined }) {
  return <Popover label="SQL">{() => <SqlText source={source} date={date} text={text} answer={answer} />}</Popover>;
}

function SqlText({ source, date, text, answer }: { source: Source; date: string; text: string; answer: QueryAnswer | undefined }) {
  const [own, setOwn] = useState<string>();
  useEffect(() => {
    if (answer) return;
    const abort = new AbortController();
    get("/api/v1/query/{source}", { source, date, q: text }, abort.signal).then((found) => setOwn(found.sql ?? undefined), () => setOwn(undefined));
    return () => abort.abort();
  }, [answer, source, date, text]);
  const sql = answer ? answer.sql : own;
  if (!sql) return <p class="quiet">The query has a fault; there is no SQL of it yet.</p>;
  return (
    <div class="query-sql">
      <p class="quiet">The same question, for the SQL console and `spotter query`:</p>
      <pre tabIndex={0}>
        <Wire text={sql} limit={8000} />
      </pre>
      <button
        type="button"
        class="small"
        onClick={() =>
          void navigator.clipboard.writeText(sql).then(
            () => toast({ text: "Copied" }),
            () => toast({ text: "The browser does not let this page copy.", tone: "bad" }),
          )
        }
      >
        Copy
      </button>
    </div>
  );
}
