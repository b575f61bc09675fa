// The frame: where one can go, the zone, the display; and the page, loaded when it is opened.

import { useSignal } from "@preact/signals";
import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ApiError } from "../api/client";
import { type PageModule, pageOf, SECTIONS } from "../pages/registry";
import { later, notLoaded } from "../parts/later";
import { Failed, Loading, Notice } from "../parts/State";
import { Toasts } from "../parts/toast";
import { days, loadDays } from "../parts/time/days";
import { ValueMenu } from "../parts/value/Menu";
import { zoneLabel } from "../text/time";
import { followKeys, useKeys, visit, visitAddress, visited } from "./keys";
import { choose, loadMe, may, me } from "./me";
import { FIRST, format, go, href, route, tooNew } from "./route";
import { Settings } from "./Settings";
import { shownZone, usualZone } from "./settings";

const Help = later(() => import("./Help").then((code) => code.Help), "the keys");

export const App: FunctionComponent = () => {
  const help = useSignal(false);
  const at = route.value;
  useEffect(followKeys, []);
  useEffect(() => {
    // Whoever came without an address begins with the view of their choice, if nothing was done meanwhile.
    const bare = location.hash === "";
    void loadMe().then(async () => {
      if (!bare || !me.value?.views.some((view) => view.page === "suspicious/flow")) return;
      if (!days.value) await loadDays();
      const { date, ...more } = route.value.params;
      if (href(route.value.page, route.value.path, more) === format(FIRST)) go(visited(FIRST.page, FIRST.path), "replace");
    });
  }, []);
  useKeys("Everywhere", [{ keys: ["?"], text: "this help", run: () => void (help.value = true) }]);
  useEffect(() => {
    document.title = `${pageOf(at.page)?.title(at).trim() ?? "Not found"} – Spotter`;
  }, [at]);
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the page
      </a>
      <header class="top">
        <a class="brand" href={visitAddress("suspicious", ["flow"])}>
          <img src="/icon.svg" alt="" width="22" height="22" />
          Spotter
        </a>
        <Navigation />
        <span class="spacer" />
        <button type="button" class="zone" title="Zone of the times shown. Press to switch between UTC and another: what is usual here, else this browser's." onClick={() => choose({ zone: shownZone.value !== "utc" ? "utc" : usualZone.value === "UTC" ? "local" : "" })}>
          {zoneLabel()}
        </button>
        {me.value ? (
          <a class="who" href={href("account")} title={`Signed in as ${me.value.name}, ${me.value.role}`} aria-current={at.page === "account" ? "page" : undefined}>
            {me.value.name}
          </a>
        ) : null}
        <Settings />
        <button type="button" class="icon" aria-label="Keys" title="Keys (?)" onClick={() => (help.value = true)}>
          ?
        </button>
      </header>
      {/* It scrolls, so the keyboard must reach it. */}
      <main id="main" tabIndex={0}>
        <Place />
      </main>
      {help.value ? <Help onClose={() => (help.value = false)} /> : null}
      <ValueMenu />
      <Toasts />
    </>
  );
};

function skip(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Navigation() {
  const at = route.value;
  return (
    <nav aria-label="Pages">
      {SECTIONS.map((entries, section) => (
        <ul key={section}>
          {entries.filter((entry) => may(entry.least)).flatMap((entry) =>
            entry.links.map((link) => (
              <li key={entry.name + link.label}>
                <a
                  href={visitAddress(entry.name, link.path)}
                  title={link.key ? `g ${link.key[0]}` : undefined}
                  aria-current={at.page === entry.name && link.path.every((part, index) => part === at.path[index]) ? "page" : undefined}
                  onClick={(event) => {
                    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
                    event.preventDefault();
                    visit(entry.name, link.path);
                  }}
                >
                  {link.label}
                </a>
              </li>
            )),
          )}
        </ul>
      ))}
    </nav>
  );
}

/** The page of the address. The one before stays until the next is there, so that nothing flickers. */
function Place() {
  const at = route.value;
  const entry = pageOf(at.page);
  const [loaded, set] = useState<{ name: string; module: PageModule }>();
  const [error, setError] = useState<ApiError>();
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let wanted = true;
    setError(undefined);
    entry?.load().then(
      (module) => wanted && set({ name: entry.name, module }),
      () => wanted && setError(notLoaded("The page")),
    );
    return () => {
      wanted = false;
    };
  }, [entry, turn]);
  if (tooNew.value) {
    return (
      <Notice title="This link was made by a newer version">
        <p>It may mean something this version does not know. Ask for an update of Spotter, or start from the navigation above.</p>
      </Notice>
    );
  }
  if (!entry) {
    return (
      <Notice title="There is no such page">
        <p>The address names a page that this version does not have. Choose one above.</p>
      </Notice>
    );
  }
  if (error) return <Failed error={error} retry={() => setTurn(turn + 1)} />;
  if (loaded?.name !== entry.name) return <Loading what="the page" />;
  const { Page } = loaded.module;
  return (
    <>
      <h1 class="sr-only">{entry.title(at)}</h1>
      <Page at={at} />
    </>
  );
}
