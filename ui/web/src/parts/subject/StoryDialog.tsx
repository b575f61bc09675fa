// Title and comment, saved as a story: where an investigation ends.

import { useState } from "preact/hooks";
import { asApiError, send } from "../../api/client";
import { href } from "../../app/route";
import type { Source } from "../../text/source";
import { Dialog } from "../Dialog";
import type { Range } from "../time/RangePicker";
import { toast } from "../toast";

interface Props {
  subject: string;
  source: Source;
  range: Range;
  onClose: () => void;
}

export function StoryDialog({ subject, source, range, onClose }: Props) {
  const [title, setTitle] = useState("");
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const save = async () => {
    setBusy(true);
    try {
      const story = await send("POST /api/v1/stories", { source, subject, from: range.from, to: range.to, title, text });
      toast({ text: "The story is saved.", tone: "good", action: { label: "Open it", run: () => void (location.hash = href("storyboard", [String(story.story_id)])) } });
      onClose();
    } catch (error) {
      const problem = asApiError(error);
      setWrong(`${problem.message}. ${problem.detail}`);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title="Tell the story"
      wide
      onClose={onClose}
      actions={
        <button type="submit" form="story" class="primary" disabled={busy || !title.trim()}>
          Save
        </button>
      }
    >
      <form
        id="story"
        class="story-form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <label for="story-title">Title</label>
        <input id="story-title" value={title} maxLength={200} required onInput={(event) => setTitle(event.currentTarget.value)} />
        <label for="story-text">What happened (Markdown)</label>
        <textarea id="story-text" rows={12} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        {wrong ? (
          <p class="wrong" role="alert">
            {wrong}
          </p>
        ) : null}
      </form>
    </Dialog>
  );
}
