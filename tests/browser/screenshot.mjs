// Pictures of every page for the README: node screenshot.mjs [FOLDER [WIDTH]], with SPOTTER_URL and SPOTTER_TOKEN set.
// Default: docs/images, 1440 wide. WebP, as Chromium makes it.

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { capture, serve, wire } from "./own.mjs";
import { api, BASE, launch, post, signIn, skip, subjects } from "./support.mjs";

if (skip) {
  console.error(skip);
  process.exit(2);
}
const folder = process.argv[2] ?? fileURLToPath(new URL("../../docs/images", import.meta.url));
const width = Number(process.argv[3] ?? 1440);
mkdirSync(folder, { recursive: true });

const SQL = "select date_bin(interval '15 minutes', first_seen) as time, sum(src_bytes) as bytes_out, sum(dst_bytes) as bytes_in from flow group by 1 order by 1";

/** Name of the picture → address and what is waited for. */
const PICTURES = {
  "suspicious-flow": ({ flow, row }) => [`suspicious/flow?v=1&date=${flow}&selected=${row.flow}`, ".details .raw .grid-row"],
  "suspicious-dns": ({ dns, row }) => [`suspicious/dns?v=1&date=${dns}&graph=on&selected=${row.dns}&tab=around`, ".around .branch"],
  "suspicious-proxy": ({ proxy, row }) => [`suspicious/proxy?v=1&date=${proxy}&graph=on&selected=${row.proxy}`, ".raw .grid-row"],
  chord: ({ flow, row }) => [`suspicious/flow?v=1&date=${flow}&graph=on&selected=${row.flow}&tab=around`, ".chord .ribbon"],
  investigate: ({ span, host }) => [`investigate?v=1&${span}&subject=${host}`, "#ways"],
  address: ({ span, host }) => [`ip/${encodeURIComponent(host)}?v=1&${span}`, ".timeline .grid-row"],
  name: ({ span, name }) => [`name/${encodeURIComponent(name)}?v=1&${span}`, ".timeline .grid-row"],
  service: ({ span }) => [`service/tcp/443?v=1&${span}`, "#policy"],
  story: ({ story }) => [`storyboard/${story}?v=1`, ".drops svg"],
  ingest: () => ["ingest?v=1", ".time-chart svg"],
  sql: () => [`sql?v=1&q=${encodeURIComponent(SQL)}`, ".sql-tree li"],
  noise: () => ["noise", ".noise tbody tr"],
  health: () => ["health", ".tiles"],
};

const { days, row, host, name, from, to } = await subjects();
const text = `## What happened\n\n**${host}** stands first on ${days.flow}.\n\n- what it reached\n- when it began\n- what else asked for the same names\n`;
const told = await post("/api/v1/stories", { title: `What ${host} did`, text, subject: host, source: "flow", from, to });
// Something to see on the noise page: a verdict, and a rule that ends.
const { rows: said } = await api(`/api/v1/suspicious/proxy?date=${days.proxy}&limit=4`);
await post("/api/v1/verdicts", { verdicts: [{ source: "proxy", record_id: said.at(-1).record_id, date: days.proxy, scope: "group", severity: 1, note: "Confirmed with the owner of the host." }] });
await post("/api/v1/rules", { source: "flow", action: "allow", name: "Backups at night", matcher: { port: "873" }, note: "rsync to the vault", expires: new Date(Date.now() + 90 * 86_400_000).toISOString() });
const lake = { ...days, row, host, name, span: `from=${from}&to=${to}`, story: told.story_id };

const browser = await launch();
const height = Math.round(width * 0.625);

/** The page as it is now, when it is at rest. */
async function take(page, title, colorScheme) {
  await page.waitForFunction(() => !document.querySelector(".loading"));
  await page.mouse.move(width - 20, 20);
  await page.waitForTimeout(1200);
  const devtools = await page.context().newCDPSession(page);
  const { data } = await devtools.send("Page.captureScreenshot", { format: "webp", quality: 75 });
  const path = `${folder}/${title}-${colorScheme}.webp`;
  writeFileSync(path, Buffer.from(data, "base64"));
  console.log(path);
}

const THEMES = ["light", "dark"];
for (const colorScheme of THEMES) {
  const { context, page } = await signIn(browser, { colorScheme, viewport: { width, height } });
  for (const [title, place] of Object.entries(PICTURES)) {
    const [hash, ready] = place(lake);
    await page.goto(`${BASE}/#/${hash}`);
    await page.waitForSelector(ready);
    if (title === "sql") {
      await page.click("button:text-is('Run')");
      await page.click("button:text-is('Chart')");
    }
    await take(page, title, colorScheme);
  }
  await context.close();
}

// With accounts, links open nothing any more: these come last.
const PASSWORD = "four words in a row";
await post("/api/v1/users", { name: "ada", role: "admin", password: PASSWORD });
for (const colorScheme of THEMES) {
  const context = await browser.newContext({ colorScheme, viewport: { width, height } });
  const page = await context.newPage();
  await page.goto(`${BASE}/login#/admin`);
  await page.fill("#name", "ada");
  await page.fill("#password", PASSWORD);
  await page.click("button[type=submit]");
  for (const title of ["admin", "account"]) {
    await page.goto(`${BASE}/#/${title}`);
    await page.waitForSelector(`.${title}`);
    await take(page, title, colorScheme);
  }
  await context.close();
}

// The live page has something to show while packets arrive: on a wire of its own, as root.
if (process.getuid?.() === 0 && process.env.SPOTTER_BIN) {
  const server = await serve();
  const cable = wire("pictures");
  const taking = await capture(cable.namespace, "to", server);
  try {
    cable.send(900);
    const context = await browser.newContext({ viewport: { width, height } });
    const page = await context.newPage();
    await page.goto(server.link);
    await page.goto(`${server.base}/#/live?v=1`);
    await page.waitForSelector("section[aria-label='Top talkers'] td");
    await page.waitForTimeout(30_000);
    for (const colorScheme of THEMES) {
      await page.emulateMedia({ colorScheme });
      await take(page, "live", colorScheme);
    }
    await context.close();
  } finally {
    await taking.stop();
    cable.remove();
    await server.stop();
  }
} else console.error("no picture of the live page: it takes root, for a wire in a network namespace");
await browser.close();
