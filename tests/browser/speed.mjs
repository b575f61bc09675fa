// How quick the suspicious list is in a real browser: figures, and no bounds (machines differ). Median of the runs.
//
//   tests/browser/with-server.sh SPOTTER node speed.mjs [RUNS]       a day of its own
//   SPOTTER_LAKE=LAKE …                                              a lake whose last scored day keeps many rows (spotter score --limit 100000)
//
// First rows: from the address to the first row, the processor four times slowed. Scroll: frames a second while the whole list passes in ten
// seconds, and the longest wait for one. Graph: from the press on Network to nodes at rest, a hub with a thousand peers.

import { api, BASE, launch, open, scoredDays, signIn, skip } from "./support.mjs";

if (skip) {
  console.error(skip);
  process.exit(2);
}
const runs = Number(process.argv[2] ?? 5);
const [date] = await scoredDays("flow");
const browser = await launch();
const { context, page } = await signIn(browser);
const list = `#/suspicious/flow?v=1&date=${date}&groups=off`;
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const tell = (what, value, unit) => console.log(JSON.stringify({ part: "browser", figure: what, value: Math.round(value * 10) / 10, unit, runs }));

async function firstRows() {
  const devtools = await context.newCDPSession(page);
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  const times = [];
  for (let run = 0; run < runs; run += 1) {
    await page.goto("about:blank");
    const start = performance.now();
    await page.goto(`${BASE}/${list}`);
    await page.waitForSelector(".main-table .grid-row");
    times.push(performance.now() - start);
  }
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: 1 });
  tell("first rows, processor four times slowed", median(times), "ms");
}

/** Scrolls the list from end to end in ten seconds; gives the moments of the frames. */
function scrolled() {
  return page.$eval(".main-table .grid", (grid) =>
    new Promise((resolve) => {
      const frames = [];
      const end = grid.scrollHeight - grid.clientHeight;
      const step = (now) => {
        frames.push(now);
        const gone = (now - frames[0]) / 10_000;
        grid.scrollTop = end * gone;
        if (gone < 1) requestAnimationFrame(step);
        else resolve(frames);
      };
      requestAnimationFrame(step);
    }));
}

async function scroll() {
  const { matching } = await api(`/api/v1/suspicious/flow?date=${date}&groups=off&limit=1`);
  await open(page, list);
  // What follows is loaded when it is scrolled to: all of it first.
  const drawn = () => page.$$eval(".main-table .grid-row", (rows) => Math.max(...rows.map((row) => Number(row.getAttribute("aria-rowindex")) - 1)));
  while ((await drawn()) < matching) {
    await page.$eval(".main-table .grid", (grid) => (grid.scrollTop = grid.scrollHeight));
    await page.waitForTimeout(20);
  }
  const rates = [], waits = [];
  for (let run = 0; run < runs; run += 1) {
    const frames = await scrolled();
    rates.push((1000 * (frames.length - 1)) / (frames.at(-1) - frames[0]));
    waits.push(Math.max(...frames.slice(1).map((at, n) => at - frames[n])));
  }
  tell(`scroll of ${matching} rows: frames`, median(rates), "1/s");
  tell(`scroll of ${matching} rows: longest wait for a frame`, median(waits), "ms");
}

async function graph() {
  const answer = await api(`/api/v1/suspicious/flow?date=${date}&groups=off&limit=1`);
  const peer = (at) => ({ ...answer.rows[0], record_id: at.toString(16).padStart(32, "0"), src_ip: "10.9.9.9", dst_ip: `198.18.${at >> 8}.${at & 255}`, standing: { ...answer.rows[0].standing, rank: at + 1 } });
  const whole = { ...answer, rows: Array.from({ length: 1000 }, (_, at) => peer(at)), matching: 1000, groups: 1000, next_cursor: null };
  await page.route("**/api/v1/suspicious/flow?*", (route) => route.fulfill({ json: whole }));
  const times = [];
  for (let run = 0; run < runs; run += 1) {
    await page.goto("about:blank");
    await open(page, list);
    await page.waitForSelector(".main-table .grid-row");
    const start = performance.now();
    await page.keyboard.press("v");
    await page.waitForSelector('.stage[data-settled="true"]', { timeout: 60_000 });
    times.push(performance.now() - start);
  }
  tell("a graph of 1,001 nodes at rest", median(times), "ms");
}

await firstRows();
await scroll();
await graph();
await browser.close();
