// Each book as its equations with the values put in.

import type { Book, Counter, Equation } from "../../api/types";
import { minute } from "../../text/time";
import { count } from "../../text/units";
import { Wire } from "../../text/Wire";

export function Books({ books }: { books: readonly Book[] }) {
  // What has no sum to agree (the log's marks) comes last.
  const sorted = [...books].sort((a, b) => Number(a.closed === null) - Number(b.closed === null));
  return (
    <>
      {sorted.map((book, at) => (
        <details class="card" key={`${book.sensor} ${book.source} ${book.from} ${at}`} open={(at === 0 && book.closed !== null) || book.closed === false}>
          <summary>
            <Verdict book={book} />
            <strong>
              <Wire text={book.source} limit={120} />
            </strong>
            <span class="quiet">
              <Wire text={book.sensor} limit={60} />, {minute(book.from)} to {minute(book.to)}
            </span>
            {book.lost > 0 ? <span class="pill bad">{count(book.lost)} packets lost</span> : null}
          </summary>
          {book.equations.length === 0 ? <p class="quiet">These counters belong to no equation.</p> : null}
          {book.equations.map((equation) => (
            <EquationLine key={equation.unit + equation.total.name} equation={equation} />
          ))}
          <Counters counters={book.counters} />
        </details>
      ))}
    </>
  );
}

function Verdict({ book }: { book: Book }) {
  if (book.closed === null) return <span class="pill">no equation</span>;
  return book.closed ? <span class="pill solid">closed</span> : <span class="pill bad">open</span>;
}

function EquationLine({ equation }: { equation: Equation }) {
  const holds = equation.difference === "0";
  return (
    <p class={`equation ${holds ? "holds" : "fails"}`}>
      <Term counter={equation.total} />
      <span class="sign">=</span>
      {equation.terms.length === 0 ? <span class="term num">0</span> : null}
      {equation.terms.map((term, at) => (
        <span class="pair" key={term.name}>
          {at > 0 ? <span class="sign">+</span> : null}
          <Term counter={term} />
        </span>
      ))}
      {holds ? (
        <span class="check" title="left and right agree">
          ✓
        </span>
      ) : (
        <strong class="check">differs by {equation.difference}</strong>
      )}
    </p>
  );
}

function Term({ counter }: { counter: Counter }) {
  return (
    <span class="term">
      <span class="num">{count(counter.value)}</span>
      <span class="quiet">
        <Wire text={counter.name} />
      </span>
    </span>
  );
}

function Counters({ counters }: { counters: readonly Counter[] }) {
  const some = counters.filter((counter) => counter.value > 0);
  return (
    <details class="inner">
      <summary>
        {count(some.length)} counters above zero, {count(counters.length)} in all
      </summary>
      <dl class="columns">
        {some.map((counter) => (
          <div key={counter.name}>
            <dt>
              <Wire text={counter.name} />
            </dt>
            <dd class="num">{count(counter.value)}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
