// The frame: where one can go, the zone, the theme; and the page.

import { useSignal } from "@preact/signals";
import type { FunctionComponent } from "preact";
import { useEffect } from "preact/hooks";
import { HealthPage } from "../health/Page";
import { SuspiciousPage } from "../suspicious/Page";
import { Help } from "./Help";
import { followKeys, visit } from "./keys";
import { format, route, type Source, suspicious } from "./route";
import { type Theme, theme } from "./theme";

const PLACES: { place: Source | "health"; label: string }[] = [
  { place: "flow", label: "Flows" },
  { place: "dns", label: "DNS" },
  { place: "proxy", label: "Proxy" },
  { place: "health", label: "Health" },
];
const THEMES: Record<Theme, { next: Theme; label: string; sign: string }> = {
  system: { next: "dark", label: "Theme: as the system", sign: "◐" },
  dark: { next: "light", label: "Theme: dark", sign: "●" },
  light: { next: "system", label: "Theme: light", sign: "○" },
};

export const App: FunctionComponent = () => {
  const at = route.value;
  const help = useSignal(false);
  const here = at.page === "health" ? "health" : at.source;
  const label = PLACES.find(({ place }) => place === here)?.label ?? "";
  useEffect(() => followKeys(() => (help.value = true)), []);
  useEffect(() => {
    document.title = at.page === "health" ? "Health – Spotter" : `Suspicious ${label} ${at.date} – Spotter`;
  }, [at]);
  const now = THEMES[theme.value];
  return (
    <>
      <header class="top">
        <a class="brand" href="#/suspicious/flow">
          <img src="/icon.svg" alt="" width="22" height="22" />
          Spotter
        </a>
        <nav aria-label="Pages">
          {PLACES.map(({ place, label }) => (
            <a
              key={place}
              href={place === "health" ? format({ page: "health" }) : format(suspicious(place, at.page === "suspicious" ? { date: at.date } : {}))}
              aria-current={place === here ? "page" : undefined}
              onClick={(event) => {
                if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
                event.preventDefault();
                visit(place);
              }}
            >
              {label}
            </a>
          ))}
        </nav>
        <span class="spacer" />
        <span class="zone" title="All times are in UTC">
          UTC
        </span>
        <button type="button" class="icon" aria-label={now.label} title={now.label} onClick={() => (theme.value = now.next)}>
          {now.sign}
        </button>
        <button type="button" class="icon" aria-label="Keys" title="Keys (?)" onClick={() => (help.value = true)}>
          ?
        </button>
      </header>
      <main>
        <h1 class="sr-only">{at.page === "health" ? "Health" : `Suspicious: ${label}`}</h1>
        {at.page === "health" ? <HealthPage /> : <SuspiciousPage at={at} />}
      </main>
      <Help open={help.value} onClose={() => (help.value = false)} />
    </>
  );
};
