// The keys, in a native dialog.

import { useEffect, useRef } from "preact/hooks";

const KEYS: [string[], string][] = [
  [["j", "k"], "next, previous row (arrows too)"],
  [["Enter"], "open the record"],
  [["→", "←"], "open, close the group"],
  [["Esc"], "close the details"],
  [["/"], "filter"],
  [["[", "]"], "day before, day after"],
  [["g", "f"], "go to flows; g d DNS, g p proxy, g h health"],
  [["?"], "this help"],
];

export function Help({ open, onClose }: { open: boolean; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    if (!element) return;
    if (open && !element.open) element.showModal();
    if (!open && element.open) element.close();
  }, [open]);
  return (
    <dialog ref={dialog} class="help" aria-label="Keys" onClose={onClose}>
      <h2>Keys</h2>
      <dl>
        {KEYS.map(([keys, text]) => (
          <div key={text}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button>Close</button>
      </form>
    </dialog>
  );
}
