// What the hosts of a record are made of: the topics that hold most of each, told by their words.

import { get } from "../../api/client";
import type { HostTopic, HostTopics } from "../../api/types";
import { Failed, Loading } from "../../parts/State";
import type { Source } from "../../text/source";
import { share } from "../../text/units";
import { Wire } from "../../text/Wire";
import type { Row } from "./list";
import { useLoad } from "./Raw";
import { inWords } from "./words";

export function Topics({ source, row }: { source: Source; row: Row }) {
  const { record_id } = row;
  const { value, error, retry } = useLoad(`${source} ${record_id}`, (signal) =>
    get("/api/v1/topics/{source}/{record_id}", { source, record_id, date: row.first_seen.slice(0, 10) }, signal),
  );
  if (error) return error.status === 404 ? <p>{error.detail}</p> : <Failed error={error} retry={retry} />;
  if (!value) return <Loading what="topics" />;
  return (
    <>
      {value.hosts.map((host) => (
        <Host key={host.side} of={host} />
      ))}
      <p class="quiet">
        By the model of {value.date}: {value.topics} topics. “Like this” is how much of a topic is records with this record's word.
      </p>
    </>
  );
}

function Host({ of: { host, side, topics } }: { of: HostTopics }) {
  if (topics.length === 0) {
    return (
      <p>
        The model does not know <Wire text={host} class="mono" /> by itself.
      </p>
    );
  }
  return (
    <table>
      <caption>
        Topics of <Wire text={host} class="mono" /> {side ? `(${side})` : ""}
      </caption>
      <thead>
        <tr>
          <th scope="col">Topic</th>
          <th scope="col">This host</th>
          <th scope="col">All</th>
          <th scope="col">Like this</th>
          <th scope="col">Most of it</th>
        </tr>
      </thead>
      <tbody>
        {topics.map((topic) => (
          <Line key={topic.topic} of={topic} />
        ))}
      </tbody>
    </table>
  );
}

function Line({ of: { topic, host_share, all_share, word_share, words } }: { of: HostTopic }) {
  return (
    <tr>
      <th scope="row">{topic}</th>
      <td>{share(host_share)}</td>
      <td>{share(all_share)}</td>
      <td>{share(word_share ?? 0)}</td>
      <td>
        {words.map((one) => (
          <div key={one.word}>
            {share(one.share)} <Wire text={one.features.map(inWords).join(", ") || one.word} />
          </div>
        ))}
      </td>
    </tr>
  );
}
