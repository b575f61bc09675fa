// Where an investigation can begin: what was judged a high threat, and the stories told. Nothing has to be judged first.

import { useAnswer } from "../../api/useAnswer";
import { href } from "../../app/route";
import { Time } from "../../parts/cells";
import { investigateHref } from "../../parts/subject/links";
import { Failed, Loading, Notice } from "../../parts/State";
import type { Range } from "../../parts/time/RangePicker";
import { SOURCE_NAMES, type Source } from "../../text/source";
import { Wire } from "../../text/Wire";

/** `source`: of it alone, as Apache Spot's links ask. */
export function High({ range, source }: { range: Range; source: Source | undefined }) {
  const high = useAnswer("/api/v1/high", { from: range.from, to: range.to });
  const stories = useAnswer("/api/v1/stories", { from: range.from, to: range.to });
  if (high.error) return <Failed error={high.error} retry={high.retry} />;
  if (!high.value) return <Loading what="what was judged" />;
  const rows = high.value.rows.filter((row) => !source || row.source === source);
  return (
    <>
      <p class="lead">Look for any address, network, name or URI above, over any days. Nothing has to be judged first.</p>
      <section class="panel-box scroll-x" aria-labelledby="high">
        <h2 id="high">
          Judged a high threat
          {source ? (
            <>
              <span class="pill">{SOURCE_NAMES[source]}</span>
              <a href={href("investigate", [], { from: range.from, to: range.to })}>All</a>
            </>
          ) : null}
        </h2>
        {rows.length === 0 ? (
          <Notice title="Nothing was judged high in this time">
            <p>
              Score a record on the <a href={href("suspicious", ["flow"])}>suspicious page</a>, or look for something above.
            </p>
          </Notice>
        ) : (
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Source</th>
                <th scope="col">Investigate</th>
                <th scope="col">By</th>
                <th scope="col">Note</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.verdict_id}>
                  <td>{row.first_seen ? <Time time={row.first_seen} date /> : "–"}</td>
                  <td>{SOURCE_NAMES[row.source]}</td>
                  <td>
                    {row.subjects.length === 0 ? <Wire text={row.scope} class="quiet" /> : null}
                    {row.subjects.map((subject, index) => (
                      <span key={subject}>
                        {index > 0 ? " · " : ""}
                        <a href={investigateHref(subject, range)}>
                          <Wire text={subject} limit={120} class="mono" />
                        </a>
                      </span>
                    ))}
                  </td>
                  <td>
                    <Wire text={row.author} />
                  </td>
                  <td>{row.note ? <Wire text={row.note} limit={200} /> : null}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      {stories.value && stories.value.stories.length > 0 ? (
        <section class="panel-box" aria-labelledby="told">
          <h2 id="told">Stories of this time</h2>
          <ul class="body story-list">
            {stories.value.stories.map((story) => (
              <li key={story.story_id}>
                <a href={href("storyboard", [String(story.story_id)])}>
                  <Wire text={story.title} limit={200} />
                </a>{" "}
                <Wire text={story.subject} limit={80} class="mono quiet" />
              </li>
            ))}
          </ul>
        </section>
      ) : null}
    </>
  );
}
