// Pictures for the README: node screenshot.mjs [FOLDER], with SPOTTER_URL and SPOTTER_TOKEN set. Default: docs/images.

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { launch, open, scoredDays, signIn, skip } from "./support.mjs";

if (skip) {
  console.error(skip);
  process.exit(2);
}
const folder = process.argv[2] ?? fileURLToPath(new URL("../../docs/images", import.meta.url));
mkdirSync(folder, { recursive: true });
const browser = await launch();
for (const colorScheme of ["light", "dark"]) {
  const { context, page } = await signIn(browser, { colorScheme, viewport: { width: 1440, height: 860 } });
  const [date] = await scoredDays("flow");
  await open(page, `#/suspicious/flow?date=${date}`);
  await page.click(".main-table .grid-row >> nth=1");
  await page.waitForSelector(".details .raw .grid-row");
  await page.mouse.move(1400, 20);
  await page.waitForTimeout(300);
  const path = `${folder}/suspicious-${colorScheme}.png`;
  await page.screenshot({ path });
  console.log(path);
  await context.close();
}
await browser.close();
