// A native dialog: it traps the focus, closes by Esc, and gives the focus back.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  /** Buttons at the foot; a Close button where there are none. */
  actions?: ComponentChildren;
  wide?: boolean;
}

export function Dialog({ title, onClose, children, actions, wide }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    const first = (selector: string) => element.current?.querySelector<HTMLElement>(`.dialog-body ${selector}`);
    (first("[autofocus]") ?? first(":is(input, button)"))?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog ref={element} class={wide ? "dialog wide" : "dialog"} aria-label={title} onClose={onClose} onKeyDown={(event) => event.stopPropagation()}>
      <header>
        <h2>{title}</h2>
        <button type="button" class="step" aria-label="Close" onClick={() => element.current?.close()}>
          ×
        </button>
      </header>
      <div class="dialog-body">{children}</div>
      <footer>
        {actions ?? (
          <button type="button" onClick={() => element.current?.close()}>
            Close
          </button>
        )}
      </footer>
    </dialog>
  );
}
