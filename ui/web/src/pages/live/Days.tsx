// Bytes and packets in and out per day, of any host or network: stacked bars.

import { useState } from "preact/hooks";
import { useAnswer } from "../../api/useAnswer";
import { type At, change } from "../../app/route";
import { Chart } from "../../parts/chart/Chart";
import { TimeChart } from "../../parts/chart/TimeChart";
import { Failed } from "../../parts/State";
import { RangePicker } from "../../parts/time/RangePicker";
import { useRange } from "../../parts/time/useRange";
import { escapeText } from "../../text/hostile";
import { stamp } from "../../text/time";
import { bytes, count } from "../../text/units";

export function Days({ at }: { at: At }) {
  const subject = at.params["subject"] ?? "";
  const { range, end } = useRange(at, 14);
  const [text, setText] = useState(subject);
  const { value, error, retry } = useAnswer("/api/v1/volume", range && { subject: subject || undefined, from: range.from, to: range.to, step: 86_400 });
  const of = subject ? `of ${escapeText(subject, 60)}` : "of everything, as the initiator sees it";
  const day = (index: number) => stamp(new Date(((value?.start ?? 0) + index * 86_400) * 1000)).slice(0, 10);
  return (
    <section class="days" aria-labelledby="days">
      <form
        class="subject-bar"
        onSubmit={(event) => {
          event.preventDefault();
          change({ subject: text.trim() || undefined });
        }}
      >
        <h2 id="days">Per day</h2>
        <label class="sr-only" for="subject">
          Host or network
        </label>
        <input id="subject" type="text" value={text} placeholder="All traffic; or a host or network, e.g. 10.0.0.0/8" spellcheck={false} onInput={(event) => setText(event.currentTarget.value)} />
        <button type="submit">Show</button>
        {range ? <RangePicker range={range} end={end} onPick={({ from, to }) => change({ from, to, date: undefined })} /> : null}
      </form>
      {error ? <Failed error={error} retry={retry} /> : null}
      {value ? (
        <div class="day-charts">
          {(
            [
              ["bytes", "Bytes", value.bytes_in, value.bytes_out, bytes],
              ["packets", "Packets", value.packets_in, value.packets_out, (number: number) => (number >= 10_000 ? `${count(Math.round(number / 1000))} k` : count(Math.round(number)))],
            ] as const
          ).map(([key, label, received, sent, format]) => (
            <Chart
              key={key}
              title={`${label} in and out per day`}
              summary={`${label} per day ${of}: in ${format(received.reduce((sum, one) => sum + one, 0))}, out ${format(sent.reduce((sum, one) => sum + one, 0))}.`}
              twin={{ columns: ["Day", `${label} in`, `${label} out`], rows: received.map((one, index) => [day(index), one, sent[index] ?? 0]) }}
            >
              <TimeChart
                start={value.start}
                step={value.step}
                height={200}
                format={format}
                series={[
                  { label: "in", tone: "s1", values: received },
                  { label: "out", tone: "s2", values: sent },
                ]}
              />
            </Chart>
          ))}
        </div>
      ) : null}
    </section>
  );
}
