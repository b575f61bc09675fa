// "Why is this here?": the deciding side, its word taken apart, how often it occurs, and how sure that is.

import { useState } from "preact/hooks";
import type { Feature, Fired, Usual } from "../../api/types";
import { spelled } from "../../text/punycode";
import { count, oneIn, share } from "../../text/units";
import { Wire } from "../../text/Wire";
import { band } from "../../text/units";
import type { Source } from "../../text/source";
import type { Row } from "./list";
import { Topics } from "./Topics";
import { SEVERITIES, type Severity } from "./scoring";
import { byChance, confidence, decidingFeature, inWords, readable } from "./words";

const SIDES: Record<string, string> = { src: "the source", dst: "the destination" };

export function Explanation({ source, row }: { source: Source; row: Row }) {
  const [told, setTold] = useState(false);
  const { why, standing } = row;
  const deciding = decidingFeature(why);
  const sure = confidence(standing.confidence);
  return (
    // It scrolls, so the keyboard must reach it.
    <section class="explanation" aria-label="Explanation" tabIndex={0}>
      <div class="said">
      <h2>Why is this here?</h2>
      <FiredList fired={why.fired} />
      <p class="lead">
        <Verdict row={row} />
      </p>
      {deciding ? (
        <p>
          What stands out is{" "}
          <strong>
            <Wire text={inWords(deciding)} />
          </strong>
          {why.nearest_common ? (
            <>
              ; the nearest common value would be{" "}
              <strong>
                <Wire text={readable(why.nearest_common)} />
              </strong>
            </>
          ) : null}
          .
        </p>
      ) : null}
      <p>
        <span class={`pill ${sure.label}`}>{sure.label} evidence</span> {sure.text}
      </p>
      <SaidOf row={row} />
      <Spelled row={row} />
      <Frequency row={row} />
      </div>
      <div class="taken-apart">
      <h3>
        The word{why.side ? ` of ${SIDES[why.side] ?? why.side}` : ""}, taken apart
      </h3>
      <Features features={why.features} deciding={why.feature} usual={why.usual} />
      <p class="quiet">
        Word <Wire text={why.word} class="mono" />
        {why.other_word && why.other_word !== why.word ? (
          <>
            , other side <Wire text={why.other_word} class="mono" />
          </>
        ) : null}{" "}
        (scheme {standing.words})
      </p>
      <Sides row={row} />
      <details open={told} onToggle={(event) => setTold(event.currentTarget.open)}>
        <summary>Topics of {why.side ? "both hosts" : "the host"}</summary>
        {told ? <Topics source={source} row={row} /> : null}
      </details>
      </div>
    </section>
  );
}

/** What analysts and rules said, and what that did. */
function SaidOf({ row: { said } }: { row: Row }) {
  const parts: string[] = [];
  if (said.severity !== null) parts.push(`Rated ${SEVERITIES[said.severity as Severity] ?? said.severity} (verdict ${said.verdict ?? "?"}).`);
  if (said.suppressed_by !== null) parts.push(`Suppressed by rule ${said.suppressed_by}.`);
  if (said.allowed_by !== null) parts.push(`Allowed by rule ${said.allowed_by}.`);
  if (said.resembles !== null) parts.push(`Goes to the same place as what verdict ${said.resembles} confirmed.`);
  if (parts.length === 0 && said.moved_by.length === 0) return null;
  return (
    <p class="said-of">
      {parts.join(" ")}
      {said.moved_by.length > 0 ? (
        <>
          {" "}
          When the day was scored, it was moved by <Wire text={said.moved_by.join(", ")} limit={300} />
          {said.before === null ? null : ` (before: ${byChance(-said.before)})`}.
        </>
      ) : null}
    </p>
  );
}

/** What fired: the strongest first, which decided. */
function FiredList({ fired }: { fired: readonly Fired[] }) {
  if (fired.length === 0) return null;
  return (
    <ul class="fired">
      {fired.map((one, at) => (
        <li key={one.name + one.evidence} class={at === 0 ? "deciding" : ""}>
          <strong>{one.name}</strong>: <Wire text={one.evidence} /> <span class="quiet">({byChance(one.strength)})</span>
        </li>
      ))}
    </ul>
  );
}

function Verdict({ row }: { row: Row }) {
  const { why, standing } = row;
  const host = <Wire text={why.host} class="mono strong" />;
  const side = why.side ? <> ({SIDES[why.side] ?? why.side}, which decided)</> : null;
  // Of the side that decided: the row's own score is the smaller of both.
  const score = why.deciding_score ?? standing.score;
  if (score === 0) {
    return (
      <>
        For {host}
        {side}, such a record was never seen when the model was made.
      </>
    );
  }
  const odds = 1 / score;
  return (
    <>
      For {host}
      {side}, about one record in <strong>{odds < 1e15 ? count(roundTwo(odds)) : odds.toExponential(1)}</strong> looks like this:{" "}
      {bits(score)}, rank {count(standing.rank)} of the day{standing.spot_rank === standing.rank ? "" : ` (${count(standing.spot_rank)} by this score alone)`}
      {band(standing.percentile) === "usual" ? "" : `, ${oneIn(standing.percentile)} records is as surprising`}.
    </>
  );
}

const bits = (score: number): string => (score > 0 ? `${Math.abs(Math.log2(score)).toFixed(1)} bits of surprise` : "never seen");

/** The scores of both sides of a flow beside each other. */
function Sides({ row }: { row: Row }) {
  if (!("src_ip" in row)) return null;
  const { side, deciding_score, other_score } = row.why;
  const line = (name: string, host: string) => {
    const score = name === side ? deciding_score : other_score;
    return (
      <tr>
        <th scope="row">{name === side ? <strong>{SIDES[name]}, which decided</strong> : SIDES[name]}</th>
        <td>
          <Wire text={host} class="mono" />
        </td>
        <td>{score === null ? "not kept when this was scored" : `${score.toPrecision(2)}: ${bits(score)}`}</td>
      </tr>
    );
  };
  return (
    <table>
      <caption>P(word | host) of each side</caption>
      <tbody>
        {line("src", row.src_ip)}
        {line("dst", row.dst_ip)}
      </tbody>
    </table>
  );
}

function roundTwo(value: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 1);
  return Math.round(value / step) * step;
}

function Frequency({ row }: { row: Row }) {
  const { why, standing } = row;
  const deciding = decidingFeature(why);
  const most = Math.max(why.host_share ?? 0, why.all_share ?? 0, 1e-12);
  const line = (label: string, value: number | null) => (
    <tr>
      <th scope="row">{label}</th>
      <td class="num">{value === null ? "–" : share(value)}</td>
      <td>
        <span class="bar" aria-hidden="true">
          <span style={{ width: `${((value ?? 0) / most) * 100}%` }} />
        </span>
      </td>
    </tr>
  );
  return (
    <table class="frequency">
      <caption>{deciding ? <>How common is <Wire text={inWords(deciding)} />?</> : "How common is it?"}</caption>
      <tbody>
        {line("of this host's records", why.host_share)}
        {line("of all records", why.all_share)}
        <tr>
          <th scope="row">hosts with this word</th>
          <td class="num">{count(standing.word_hosts)}</td>
          <td />
        </tr>
        <tr>
          <th scope="row">records alike that day</th>
          <td class="num">{count(standing.group_size)}</td>
          <td />
        </tr>
        {standing.days_before === null ? null : (
          <tr>
            <th scope="row">scored days before with the same, of 7</th>
            <td class="num">{standing.days_before || "0: new"}</td>
            <td />
          </tr>
        )}
      </tbody>
    </table>
  );
}

function Features({ features, deciding, usual }: { features: readonly Feature[]; deciding: string | null; usual: readonly Usual[] }) {
  const habits = new Map(usual.map((habit) => [habit.feature, habit]));
  return (
    <table class="features">
      <thead>
        <tr>
          <th scope="col">Feature</th>
          <th scope="col">Here</th>
          <th scope="col">In the word</th>
          {usual.length > 0 ? <th scope="col">Usual for this host</th> : null}
        </tr>
      </thead>
      <tbody>
        {features.map((feature) => (
          <tr key={feature.name} class={feature.name === deciding ? "deciding" : ""}>
            <th scope="row">{feature.name}</th>
            <td>
              <Wire text={readable(feature.meaning)} />
            </td>
            <td class="mono">
              <Wire text={feature.value} />
            </td>
            {usual.length > 0 ? <Habit habit={habits.get(feature.name)} /> : null}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Habit({ habit }: { habit: Usual | undefined }) {
  if (habit === undefined) return <td />;
  return (
    <td>
      <Wire text={readable(habit.value)} /> <span class="quiet">({share(habit.share)})</span>
    </td>
  );
}

function Spelled({ row }: { row: Row }) {
  const name = "qname" in row ? row.qname : "host" in row ? row.host : undefined;
  const text = name === undefined ? undefined : spelled(name);
  if (name === undefined || text === undefined) return null;
  return (
    <p class="warn">
      The name <Wire text={name} class="mono" /> spells <Wire text={text} class="mono strong" />. Compare it with the names it may imitate.
    </p>
  );
}
