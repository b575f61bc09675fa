// The keys that work now, in a dialog.

import { Dialog } from "../parts/Dialog";
import { pageKeys, sections } from "./keys";

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <div class="help">
        {[...sections.value, pageKeys()].map((section) => (
          <section key={section.title}>
            <h3>{section.title}</h3>
            <dl>
              {section.actions.map((action) => (
                <div key={action.text}>
                  <dt>
                    {action.keys.map((key) => (
                      <kbd key={key}>{SIGNS[key] ?? key}</kbd>
                    ))}
                  </dt>
                  <dd>{action.text}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}

const SIGNS: Record<string, string> = { ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", " ": "Space" };
