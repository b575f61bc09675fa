// Storyboard: the executive threat briefing, and of each threat its progression, impact, places and times.

import { useEffect } from "preact/hooks";
import type { Board, Story } from "../../api/types";
import { useAnswer } from "../../api/useAnswer";
import { type At, go, href } from "../../app/route";
import { Failed, Loading, Notice } from "../../parts/State";
import type { Range } from "../../parts/time/RangePicker";
import { dayRange } from "../../parts/time/days";
import { SavedViewsMenu } from "../../parts/views/SavedViews";
import { SOURCE_NAMES, SOURCES } from "../../text/source";
import { isDay, minute } from "../../text/time";
import { Wire } from "../../text/Wire";
import { Drops } from "./Drops";
import { Impact } from "./Impact";
import { Places } from "./Places";
import { Progression } from "./Progression";
import { Requests } from "./Requests";
import { StoryPanel } from "./Story";
import "../../parts/chart/chart.css";
import "../../parts/subject/style.css";
import "./style.css";

export function Page({ at }: { at: At }) {
  // Apache Spot's links name a source and a day: the stories of those.
  const { date = "" } = at.params;
  const source = SOURCES.find((one) => one === at.path[0] || one === at.params["source"]);
  const list = useAnswer("/api/v1/stories", isDay(date) ? { ...dayRange(date) } : {});
  const stories = list.value?.stories.filter((story) => !source || story.source === source);
  const id = /^\d+$/.test(at.path[0] ?? "") ? Number(at.path[0]) : undefined;
  const { subject, from, to } = at.params;
  const given = subject && from && to ? { subject, range: { from, to } } : undefined;
  const chosen = id ?? (given ? undefined : stories?.[0]?.story_id);
  // The latest story of today is another one tomorrow: the address says which is shown, so that it can be sent.
  useEffect(() => {
    if (id === undefined && chosen !== undefined) go({ page: "storyboard", path: [String(chosen)], params: { ...at.params, source: source ?? "" } }, "replace");
  }, [id, chosen]);
  return (
    <div class="board">
      <Briefing stories={stories} of={[source ? SOURCE_NAMES[source] : "", isDay(date) ? date : ""].filter(Boolean).join(", ")} params={{ source, date }} chosen={chosen} />
      <div class="board-main">
        {chosen !== undefined || given ? (
          <div class="subject-bar">
            <span class="spacer" />
            <SavedViewsMenu page="storyboard" />
          </div>
        ) : null}
        {list.error ? <Failed error={list.error} retry={list.retry} /> : null}
        {chosen !== undefined ? (
          <StoryPanel key={chosen} id={chosen} onChanged={list.retry}>
            {(story) => <Pictures subject={story.subject} range={{ from: story.from, to: story.to }} />}
          </StoryPanel>
        ) : given ? (
          <>
            <h2 class="board-subject">
              <Wire text={given.subject} limit={200} class="mono" />
            </h2>
            <Pictures subject={given.subject} range={given.range} />
          </>
        ) : stories ? (
          <Notice title={source || date ? "No story is told of this" : "No story is told yet"}>
            <p>
              <a href={href("investigate")}>Investigate</a> an address, name or URI, and save what you found with a title: it appears here, with its pictures.
            </p>
          </Notice>
        ) : (
          <Loading what="the stories" />
        )}
      </div>
    </div>
  );
}

function Briefing({ stories, of, params, chosen }: { stories: readonly Story[] | undefined; of: string; params: { source: string | undefined; date: string }; chosen: number | undefined }) {
  return (
    <nav class="briefing" aria-label="Executive threat briefing">
      <h2>Executive threat briefing</h2>
      {of ? (
        <p class="quiet">
          {of} <a href={href("storyboard")}>All</a>
        </p>
      ) : null}
      <ul>
        {stories?.map((story) => (
          <li key={story.story_id}>
            <a href={href("storyboard", [String(story.story_id)], params)} aria-current={story.story_id === chosen ? "true" : undefined}>
              <strong>
                <Wire text={story.title} limit={200} />
              </strong>
              <Wire text={story.subject} limit={60} class="mono" />
              <span class="quiet">
                <Wire text={story.edited_by} limit={40} />, {minute(story.edited)}
                {story.pins > 0 ? ` · ${story.pins} pinned` : ""}
                {story.comments > 0 ? ` · ${story.comments} comments` : ""}
              </span>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Pictures({ subject, range }: { subject: string; range: Range }) {
  const { value, error, retry } = useAnswer("/api/v1/board", { subject, from: range.from, to: range.to });
  if (error) return <Failed error={error} retry={retry} />;
  if (!value) return <Loading what="the pictures" />;
  return <Frames board={value} range={range} />;
}

function Frames({ board, range }: { board: Board; range: Range }) {
  if (board.progression.children.length === 0) {
    return (
      <Notice title="The lake has nothing of it in this time">
        <p>Its records may have been retired since the story was told.</p>
      </Notice>
    );
  }
  return (
    <div class="frames">
      <Progression root={board.progression} range={range} />
      <Impact root={board.progression} />
      {board.requests.length > 0 || board.referred.length > 0 ? <Requests board={board} range={range} /> : null}
      <Places board={board} />
      <Drops board={board} range={range} />
    </div>
  );
}
