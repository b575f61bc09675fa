// From the set-up code to the end of a session, in a browser: the view that was asked for is there after signing in.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { noCommand, serve } from "./own.mjs";
import { launch, skip, watchAt } from "./support.mjs";

const PASSWORD = "four words in a row";

describe("accounts", { skip: skip || noCommand }, () => {
  let browser, server, context, page;
  before(async () => {
    server = await serve();
    browser = await launch();
    context = await browser.newContext();
    page = await context.newPage();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  const signIn = async (on, name, password) => {
    await on.fill("#name", name);
    await on.fill("#password", password);
    await on.click("button[type=submit]");
  };

  test("the set-up code of the console makes the first account, once", async () => {
    const watcher = watchAt(page, server.base, ["400", "401", "403", "422"]);
    await page.goto(`${server.base}/setup`);
    const fill = async (code) => {
      await page.fill("#code", code);
      await page.fill("#name", "ada");
      await page.fill("#password", PASSWORD);
      await page.fill("#again", PASSWORD);
      await page.click("button[type=submit]");
    };
    await fill("AAAA-AAAA-AAAA");
    assert.ok(await page.$("#code"), "a wrong code makes nothing");
    await fill(server.code);
    await page.waitForSelector("nav");
    assert.equal(await page.textContent(".who"), "ada");
    // One-time links open nothing any more.
    const stranger = await browser.newContext();
    const other = await stranger.newPage();
    await other.goto(server.link);
    await other.waitForSelector("#password");
    await stranger.close();
    watcher.clean();
  });

  test("a session that is ended leads to the door, and back to the same view", async () => {
    const watcher = watchAt(page, server.base, ["401"]);
    await page.goto(`${server.base}/#/ingest?v=1&from=2026-03-10T00:00:00Z&to=2026-03-12T00:00:00Z`);
    await page.waitForSelector(".subject-bar");
    const view = page.url();
    // Ended elsewhere: by its own list of sessions in another window.
    const { sessions } = await page.evaluate(() => fetch("/api/v1/me/sessions").then((answer) => answer.json()));
    assert.equal(sessions.length, 1);
    assert.equal(await page.evaluate((id) => fetch(`/api/v1/me/sessions/${id}`, { method: "DELETE" }).then((answer) => answer.status), sessions[0].id), 200);
    await page.click("button[aria-label=Earlier]");
    await page.waitForURL((url) => url.pathname === "/login");
    const asked = new URL(page.url()).hash;
    await signIn(page, "ada", "not the password");
    await page.waitForSelector("[role=alert]");
    await signIn(page, "ada", PASSWORD);
    await page.waitForSelector(".subject-bar");
    assert.equal(new URL(page.url()).hash, asked);
    assert.notEqual(asked, new URL(view).hash, "the step to the days before is in the view that came back");
    watcher.clean();
  });

  test("a viewer sees no page of others' roles, and is told so where an address names one", async () => {
    assert.equal(
      await page.evaluate((password) => fetch("/api/v1/users", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ name: "vera", role: "viewer", password }) }).then((answer) => answer.status), PASSWORD),
      200,
    );
    const own = await browser.newContext();
    const shown = await own.newPage();
    const watcher = watchAt(shown, server.base, ["401", "403"]);
    await shown.goto(`${server.base}/login`);
    await signIn(shown, "vera", PASSWORD);
    await shown.waitForSelector(".who");
    const links = await shown.$$eval("nav a", (all) => all.map((one) => one.textContent));
    assert.ok(links.includes("Flows") && !links.includes("SQL") && !links.includes("Admin"), links.join());
    await shown.goto(`${server.base}/#/sql`);
    await shown.waitForSelector("text=The SQL console is for analysts");
    watcher.clean();
    await own.close();
  });

  test("theme, contrast and zone go with the account into another browser, and are no one else's", async () => {
    const enter = async (name) => {
      const own = await browser.newContext({ timezoneId: "Asia/Kolkata" });
      const shown = await own.newPage();
      const watcher = watchAt(shown, server.base, ["401"]);
      await shown.goto(`${server.base}/login`);
      await signIn(shown, name, PASSWORD);
      await shown.waitForSelector(".who");
      return { own, shown, watcher };
    };
    const looks = (on) => on.evaluate(() => [document.documentElement.dataset.theme, document.documentElement.dataset.contrast, document.querySelector(".top > .zone").textContent].join());
    const first = await enter("vera");
    assert.equal(await looks(first.shown), "system,system,UTC");
    await first.shown.click("button[aria-label=Display]");
    const saved = () => first.shown.waitForResponse((answer) => answer.url().endsWith("/api/v1/me/display") && answer.ok());
    await Promise.all([saved(), first.shown.check("label:has-text('Dark') input")]);
    await Promise.all([saved(), first.shown.check("label:has-text('High') input")]);
    await first.shown.keyboard.press("Escape");
    await Promise.all([saved(), first.shown.click(".top > .zone")]);
    const second = await enter("vera");
    await second.shown.waitForFunction(() => document.documentElement.dataset.theme === "dark");
    assert.equal(await looks(second.shown), "dark,more,UTC+05:30");
    // The next page of it is painted so at once, before the server has said anything.
    await second.shown.route("**/api/v1/me", () => {});
    await second.shown.reload();
    await second.shown.waitForSelector(".top > .zone");
    assert.equal(await looks(second.shown), "dark,more,UTC+05:30");
    await second.shown.unroute("**/api/v1/me");
    const other = await enter("ada");
    assert.equal(await looks(other.shown), "system,system,UTC");
    // In the same browser somebody else does not see it either.
    await second.shown.evaluate(() => fetch("/api/v1/logout", { method: "POST" }));
    await second.shown.goto(`${server.base}/login`);
    await signIn(second.shown, "ada", PASSWORD);
    await second.shown.waitForFunction(() => document.querySelector(".who")?.textContent === "ada" && document.documentElement.dataset.theme === "system");
    assert.equal(await looks(second.shown), "system,system,UTC");
    for (const { own, watcher } of [first, second, other]) {
      watcher.clean();
      await own.close();
    }
  });
});
