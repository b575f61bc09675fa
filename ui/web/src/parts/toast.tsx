// Short messages at the foot of the page, with a way back where there is one. They are read out, and a failure stays
// until it is dismissed.

import { signal } from "@preact/signals";

export interface Toast {
  text: string;
  tone?: "plain" | "good" | "bad";
  /** What the button does, and what it says ("Undo"). */
  action?: { label: string; run: () => void | Promise<void> };
}

interface Shown extends Toast {
  id: number;
}

/** How long a message stays, ms; longer where it can be undone. */
const STAYS = 6000;
const STAYS_WITH_ACTION = 15_000;
/** Messages at a time; the oldest goes. */
const MOST = 4;

const shown = signal<readonly Shown[]>([]);
let last = 0;

/** Shows a message; gives back how to take it away. */
export function toast(message: Toast): () => void {
  last += 1;
  const id = last;
  shown.value = [...shown.value, { ...message, id }].slice(-MOST);
  const dismiss = () => {
    shown.value = shown.value.filter((other) => other.id !== id);
  };
  if (message.tone !== "bad") setTimeout(dismiss, message.action ? STAYS_WITH_ACTION : STAYS);
  return dismiss;
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite" aria-label="Messages">
      {shown.value.map((one) => {
        const dismiss = () => {
          shown.value = shown.value.filter((other) => other.id !== one.id);
        };
        return (
          <div key={one.id} class={`toast ${one.tone ?? "plain"}`}>
            <span>{one.text}</span>
            {one.action ? (
              <button
                type="button"
                onClick={() => {
                  dismiss();
                  void one.action?.run();
                }}
              >
                {one.action.label}
              </button>
            ) : null}
            <button type="button" class="step" aria-label="Dismiss" onClick={dismiss}>
              ×
            </button>
          </div>
        );
      })}
    </div>
  );
}
