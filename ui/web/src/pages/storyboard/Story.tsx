// One story: its text, pinned records, comments, versions; and the files it can be taken away as.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type ApiError, asApiError, get, send } from "../../api/client";
import type { Block, Story, StoryPin, WholeStory } from "../../api/types";
import { go, href } from "../../app/route";
import { Dialog } from "../../parts/Dialog";
import { entityHref, investigateHref } from "../../parts/subject/links";
import { Failed, Loading } from "../../parts/State";
import { toast } from "../../parts/toast";
import { minute } from "../../text/time";
import { Wire } from "../../text/Wire";

interface Props {
  id: number;
  onChanged: () => void;
  children: (story: Story) => ComponentChildren;
}

export function StoryPanel({ id, onChanged, children }: Props) {
  const [whole, setWhole] = useState<WholeStory>();
  const [error, setError] = useState<ApiError>();
  const [editing, setEditing] = useState(false);
  const load = () =>
    get("/api/v1/stories/{story_id}", { story_id: id }).then(
      (value) => (setWhole(value), setError(undefined)),
      (reason: unknown) => setError(asApiError(reason)),
    );
  useEffect(() => void load(), [id]);
  if (error) return <Failed error={error} retry={() => void load()} />;
  if (!whole) return <Loading what="the story" />;
  const { story } = whole;
  const range = { from: story.from, to: story.to };
  const retire = async () => {
    try {
      await send("DELETE /api/v1/stories/{story_id}", undefined, { story_id: id });
      toast({ text: "The story is off the list. Its text and history are kept.", tone: "good" });
      go({ page: "storyboard", path: [], params: {} });
      onChanged();
    } catch (reason) {
      toast({ text: asApiError(reason).message, tone: "bad" });
    }
  };
  return (
    <>
      <article class="panel-box story" aria-label="Story">
        <header>
          <h2>
            <Wire text={story.title} limit={200} />
          </h2>
          <span class="spacer" />
          <button type="button" class="small" onClick={() => setEditing(true)}>
            Edit
          </button>
          <a class="button small" href={`/api/v1/stories/${id}/report.html`} download>
            Report
          </a>
          <a class="button small" href={`/api/v1/stories/${id}/evidence.tar`} download>
            Evidence
          </a>
          <button type="button" class="small" onClick={() => void retire()}>
            Retire
          </button>
        </header>
        <div class="body">
          <p class="quiet">
            About{" "}
            <a href={story.subject.includes("/") && story.subject.includes(":") ? investigateHref(story.subject, range) : entityHref(story.subject, range)}>
              <Wire text={story.subject} limit={200} class="mono" />
            </a>
            , {minute(story.from)} – {minute(story.to)}. Version {story.version} by <Wire text={story.edited_by} limit={60} />, {minute(story.edited)}.
          </p>
          <Blocks blocks={story.blocks} />
        </div>
      </article>
      {children(story)}
      <Pins id={id} pins={whole.pins} onChanged={() => (void load(), onChanged())} />
      <Comments whole={whole} onWhole={(value) => (setWhole(value), onChanged())} />
      <Versions whole={whole} />
      {editing ? (
        <Editor
          story={story}
          onClose={() => setEditing(false)}
          onSaved={() => {
            setEditing(false);
            void load();
            onChanged();
          }}
        />
      ) : null}
    </>
  );
}

/** The text: blocks of the server, as text nodes. Nothing in it is markup. */
export function Blocks({ blocks }: { blocks: readonly Block[] }) {
  return (
    <div class="prose">
      {blocks.map((block, index) => {
        const inside = block.spans.map((span, at) => {
          const lines = span.text.split("\n").flatMap((line, number) => (number > 0 ? [block.kind === "code" ? "\n" : <br />, <Wire text={line} limit={32_768} />] : [<Wire text={line} limit={32_768} />]));
          const classes = [span.strong && "strong", span.emphasis && "emphasis", span.struck && "struck"].filter(Boolean).join(" ");
          const shown = span.code && block.kind !== "code" ? <code>{lines}</code> : <span class={classes}>{lines}</span>;
          return span.href ? (
            <a key={at} href={span.href} {...(span.href.startsWith("#") ? {} : { rel: "noreferrer noopener", target: "_blank" })}>
              {shown}
            </a>
          ) : (
            <span key={at}>{shown}</span>
          );
        });
        switch (block.kind) {
          case "heading":
            return block.level <= 2 ? <h3 key={index}>{inside}</h3> : <h4 key={index}>{inside}</h4>;
          case "item":
            return (
              <p key={index} class="item" style={{ marginLeft: `${(block.level - 1) * 22}px` }}>
                <span class="quiet">{block.number === null ? "•" : `${block.number}.`}</span> {inside}
              </p>
            );
          case "quote":
            return <blockquote key={index}>{inside}</blockquote>;
          case "code":
            return (
              <pre key={index} tabIndex={0}>
                {inside}
              </pre>
            );
          case "rule":
            return <hr key={index} />;
          default:
            return <p key={index}>{inside}</p>;
        }
      })}
    </div>
  );
}

function Pins({ id, pins, onChanged }: { id: number; pins: readonly StoryPin[]; onChanged: () => void }) {
  if (pins.length === 0) return null;
  const unpin = async (pin: StoryPin) => {
    try {
      await send("DELETE /api/v1/stories/{story_id}/pins/{source}/{record_id}", undefined, { story_id: id, source: pin.source, record_id: pin.record_id });
      toast({
        text: "Unpinned.",
        action: {
          label: "Undo",
          run: async () => {
            await send("POST /api/v1/stories/{story_id}/pins", { source: pin.source, record_id: pin.record_id, first_seen: pin.first_seen, note: pin.note }, { story_id: id });
            onChanged();
          },
        },
      });
      onChanged();
    } catch (reason) {
      toast({ text: asApiError(reason).message, tone: "bad" });
    }
  };
  return (
    <section class="panel-box scroll-x" aria-labelledby="pins">
      <h2 id="pins">Pinned records</h2>
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Record</th>
            <th scope="col">Note</th>
            <th scope="col">By</th>
            <th scope="col">
              <span class="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {pins.map((pin) => (
            <tr key={pin.source + pin.record_id}>
              <td class="num">{minute(pin.first_seen)}</td>
              <td>{pin.summary === null ? <span class="quiet">no longer in the lake</span> : <Wire text={pin.summary} limit={300} class="mono" />}</td>
              <td>{pin.note ? <Wire text={pin.note} limit={300} /> : null}</td>
              <td>
                <Wire text={pin.author} limit={40} />
              </td>
              <td class="end">
                <button type="button" class="small" onClick={() => void unpin(pin)}>
                  Unpin
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Comments({ whole, onWhole }: { whole: WholeStory; onWhole: (whole: WholeStory) => void }) {
  const [text, setText] = useState("");
  const add = async () => {
    try {
      onWhole(await send("POST /api/v1/stories/{story_id}/comments", { text }, { story_id: whole.story.story_id }));
      setText("");
    } catch (reason) {
      toast({ text: asApiError(reason).message, tone: "bad" });
    }
  };
  return (
    <section class="panel-box" aria-labelledby="comments">
      <h2 id="comments">Comments</h2>
      <div class="body comments">
        {whole.comments.map((comment) => (
          <div key={comment.comment_id} class="comment">
            <p class="quiet">
              <Wire text={comment.author} limit={60} />, {minute(comment.time)}
            </p>
            <p class="said">
              {comment.text.split("\n").map((line, index) => (
                <>
                  {index > 0 ? <br /> : null}
                  <Wire text={line} limit={8000} />
                </>
              ))}
            </p>
          </div>
        ))}
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (text.trim()) void add();
          }}
        >
          <label class="sr-only" for="comment">
            Comment
          </label>
          <textarea id="comment" rows={2} value={text} placeholder="Comment" maxLength={8000} onInput={(event) => setText(event.currentTarget.value)} />
          <button type="submit" disabled={!text.trim()}>
            Add
          </button>
        </form>
      </div>
    </section>
  );
}

function Versions({ whole }: { whole: WholeStory }) {
  if (whole.versions.length < 2) return null;
  return (
    <details class="panel-box history">
      <summary>Edit history: {whole.versions.length} versions</summary>
      <div class="body">
        {whole.versions.map((version) => (
          <details key={version.version}>
            <summary>
              {version.version}. <Wire text={version.title} limit={120} />{" "}
              <span class="quiet">
                <Wire text={version.author} limit={60} />, {minute(version.time)}
              </span>
            </summary>
            <pre tabIndex={0}>
              {version.text.split("\n").map((line, index) => (
                <>
                  {index > 0 ? "\n" : null}
                  <Wire text={line} limit={32_768} />
                </>
              ))}
            </pre>
          </details>
        ))}
      </div>
    </details>
  );
}

function Editor({ story, onClose, onSaved }: { story: Story; onClose: () => void; onSaved: () => void }) {
  const [title, setTitle] = useState(story.title);
  const [text, setText] = useState(story.text);
  const [wrong, setWrong] = useState<ApiError>();
  const save = async () => {
    try {
      await send("PUT /api/v1/stories/{story_id}", { version: story.version, title, text }, { story_id: story.story_id });
      onSaved();
    } catch (reason) {
      setWrong(asApiError(reason));
    }
  };
  return (
    <Dialog
      title="Edit the story"
      wide
      onClose={onClose}
      actions={
        <button type="submit" form="edit-story" class="primary" disabled={!title.trim()}>
          Save a new version
        </button>
      }
    >
      <form
        id="edit-story"
        class="story-form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <label for="edit-title">Title</label>
        <input id="edit-title" value={title} maxLength={200} required onInput={(event) => setTitle(event.currentTarget.value)} />
        <label for="edit-text">Text (Markdown)</label>
        <textarea id="edit-text" rows={16} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        {wrong ? (
          <p class="wrong" role="alert">
            {wrong.message}. {wrong.detail} {wrong.status === 409 ? <a href={href("storyboard", [String(story.story_id)])}>Your text stays here until you close this.</a> : null}
          </p>
        ) : null}
      </form>
    </Dialog>
  );
}
