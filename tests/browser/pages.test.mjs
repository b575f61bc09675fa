// Every page of the application: it shows what it promises, nothing fails or leaves the origin while it does, axe-core
// finds nothing serious in any theme, what takes keys can be reached by keyboard, and each chart has a table.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, BASE, launch, post, serious, signIn, skip, subjects, watch } from "./support.mjs";

/** Address, what is there when the page is, and texts of console errors that belong to it. */
const PAGES = {
  "suspicious flows, with the chord diagram": async ({ flow, row }) => [`#/suspicious/flow?date=${flow}&graph=on&selected=${row.flow}&tab=around`, ".chord .ribbon"],
  "suspicious flows, with raw records": async ({ flow, row }) => [`#/suspicious/flow?date=${flow}&graph=on&selected=${row.flow}`, ".raw .grid-row"],
  "suspicious DNS": async ({ dns, row }) => [`#/suspicious/dns?date=${dns}&graph=on&selected=${row.dns}&tab=around`, ".around .branch"],
  "suspicious requests": async ({ proxy, row }) => [`#/suspicious/proxy?date=${proxy}&graph=on&selected=${row.proxy}`, ".raw .grid-row"],
  "a query with a fault": async ({ flow }) => [`#/suspicious/flow?date=${flow}&filter=scr_ip%20==%201`, ".strip-error, .notice", ["400"]],
  "investigation, nothing asked": async () => ["#/investigate?v=1", ".lead"],
  investigation: async ({ span, host }) => [`#/investigate?v=1&${span}&subject=${host}`, "#ways"],
  "one address": async ({ span, host }) => [`#/ip/${encodeURIComponent(host)}?v=1&${span}`, ".timeline .grid-row"],
  "one name": async ({ span, name }) => [`#/name/${encodeURIComponent(name)}?v=1&${span}`, ".timeline .grid-row"],
  "a name nobody asked for": async ({ span }) => [`#/name/nobody.invalid?v=1&${span}`, ".none-found"],
  "one service": async ({ span }) => [`#/service/tcp/443?v=1&${span}`, "#policy"],
  stories: async () => ["#/storyboard?v=1", ".briefing"],
  "one story": async ({ story }) => [`#/storyboard/${story}?v=1`, ".drops svg"],
  live: async () => ["#/live?v=1", ".day-charts .time-chart"],
  "ingest summary": async () => ["#/ingest?v=1", ".time-chart svg"],
  "SQL console": async () => [`#/sql?v=1&q=${encodeURIComponent("select source, count(*) as n from (select 'flow' as source from flow) group by 1")}`, ".sql-tree li"],
  noise: async () => ["#/noise", ".noise"],
  health: async () => ["#/health", ".tiles"],
  admin: async () => ["#/admin", ".admin table"],
  account: async () => ["#/account", ".account"],
};

const THEMES = [
  { colorScheme: "light", contrast: "system" },
  { colorScheme: "dark", contrast: "system" },
  { colorScheme: "light", contrast: "more" },
  { colorScheme: "dark", contrast: "more" },
];

describe("every page", { skip }, () => {
  let browser, context, page, lake;
  before(async () => {
    browser = await launch();
    ({ context, page } = await signIn(browser));
    const { days, row, host, name, from, to } = await subjects();
    const told = await post("/api/v1/stories", { title: "Every page", text: "## What\n\n`code`, *emphasis*, a list:\n\n- one\n", subject: host, source: "flow", from, to });
    lake = { ...days, row, host, name, span: `from=${from}&to=${to}`, story: told.story_id };
  });
  after(async () => {
    await context?.close();
    await browser?.close();
  });

  for (const [title, place] of Object.entries(PAGES)) {
    test(title, async () => {
      const [hash, ready, expected] = await place(lake);
      const shown = await context.newPage();
      const watcher = watch(shown, expected);
      const failed = [];
      shown.on("response", (response) => response.status() >= 400 && !(expected ?? []).includes(String(response.status())) && failed.push(`${response.status()} ${response.url()}`));
      await shown.goto(`${BASE}/${hash}`);
      await shown.waitForSelector(ready);
      await shown.waitForFunction(() => !document.querySelector(".loading"));
      assert.deepEqual(failed, []);
      // An attribute of an SVG keeps its case: `tabIndex` there is none.
      assert.equal(await shown.evaluate(() => [...document.querySelectorAll("svg *, svg")].filter((one) => one.getAttributeNames().includes("tabIndex")).length), 0);
      assert.deepEqual(await shown.$$eval("[role=slider], [role=tree], [role=grid], [role=application]", (all) => all.filter((one) => one.tabIndex < 0).map((one) => one.outerHTML.slice(0, 120))), []);
      for (const chart of await shown.$$("figure.chart")) {
        assert.ok(await chart.$("button:text-is('Table')"), "the chart has a table");
      }
      for (const { colorScheme, contrast } of THEMES) {
        await shown.emulateMedia({ colorScheme });
        await shown.evaluate((contrast) => (contrast === "more" ? (document.documentElement.dataset.contrast = contrast) : delete document.documentElement.dataset.contrast), contrast);
        // Colours that change slowly are waited for, though not for ever: a page that is not drawn has them stand still.
        await shown.evaluate(() => Promise.race([Promise.allSettled(document.getAnimations().map((one) => one.finished)), new Promise((done) => setTimeout(done, 1000))]));
        // Everything once; in the other themes what depends on colour.
        const only = colorScheme === "light" && contrast === "system" ? undefined : ["color-contrast", "link-in-text-block"];
        assert.deepEqual(await serious(shown, only), [], `${colorScheme} ${contrast}`);
      }
      watcher.clean();
      await shown.close();
    });
  }

  test("the doors: sign in, set up, and what one sees without a session", async () => {
    const stranger = await browser.newContext();
    const shown = await stranger.newPage();
    for (const path of ["/", "/login", "/setup"]) {
      const watcher = watch(shown, ["401", "404", "403"]);
      await shown.goto(BASE + path);
      for (const colorScheme of ["light", "dark"]) {
        await shown.emulateMedia({ colorScheme });
        assert.deepEqual(await serious(shown), [], `${path} ${colorScheme}`);
      }
      watcher.clean();
    }
    await stranger.close();
  });
});
