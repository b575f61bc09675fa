// What the numbers of an explanation say, in sentences. Everything here comes from the scores; nothing is guessed.

import type { Feature, Why } from "../../api/types";
import { bytes, count, share } from "../../text/units";
import type { Source } from "../../text/source";
import type { Row } from "./list";

/** Scores of the word: what they say is said by the word's features already. */
const SCORES = new Set(["unlikely word", "word of others", "burst", "rare word"]);

/** The feature that decided, if the explanation names one. */
export function decidingFeature(why: Why): Feature | undefined {
  if (why.feature === null) return undefined;
  const known = why.features.find((feature) => feature.name === why.feature);
  return known ?? { name: why.feature, value: why.value ?? "", meaning: why.value ?? "" };
}

/** "16777216 to 33554431 bytes" with thousands set apart. Only long numbers with a unit behind them: ports stay as they are. */
export function readable(meaning: string): string {
  return meaning.replace(/\b(\d+)(?: to (\d+))? (?=bytes|packets|characters|labels|requests)/g, (_, low: string, high?: string) =>
    high === undefined ? `${count(Number(low))} ` : `${count(Number(low))} to ${count(Number(high))} `,
  );
}

/** A feature in words: "port 4444", "128 to 255 bytes", "subdomain length 32 to 63 characters". */
export function inWords({ name, meaning: raw }: Feature): string {
  if (raw === "") return name;
  const meaning = readable(raw);
  const speaks = meaning.includes(name) || name === "hour" || name === "protocol" || name === "role";
  return speaks ? meaning : `${name} ${meaning}`;
}

/** The same in few characters: "17–34 MB", "03:00–03:59", "subdomain length 32–63". */
function brief(feature: Feature): string {
  return inWords({ ...feature, meaning: feature.meaning.replace(/^(\d+) to (\d+) bytes$/, (_, low: string, high: string) => `${bytes(Number(low))} to ${bytes(Number(high))}`) })
    .replace(/^bytes (?=\d)/, "")
    .replace(/ to (?=\d)/, "–")
    .replace(/ (characters|UTC)$/, "");
}

/** "once in 1,000 days by chance", "3 a day by chance". */
export function byChance(strength: number): string {
  if (strength > 12) return "not to be expected by chance";
  const expected = 10 ** -strength;
  if (expected >= 1) return `about ${count(Math.round(expected))} a day by chance`;
  return `once in ${count(Math.round(1 / expected))} days by chance`;
}

/** One line for the table. */
export function summary(row: Row): string {
  const { why, standing } = row;
  const [first] = why.fired;
  // A detector's evidence says more than the word.
  if (first !== undefined && first.strength > -1 && !SCORES.has(first.name)) return `${first.name}: ${first.evidence}`;
  const feature = decidingFeature(why);
  const alone = standing.word_hosts === 1 ? ", no other host" : "";
  return `${feature ? brief(feature) : "this combination"}: ${frequency(row)}${alone}`;
}

function frequency({ why, standing }: Row): string {
  if (standing.score === 0) return "never seen";
  if (why.host_share !== null) return `${share(why.host_share)} of host`;
  return "rare for host";
}

/** What the confidence means. */
export function confidence(value: number): { label: string; text: string } {
  if (value >= 0.8) return { label: "solid", text: "This host has many records: what is usual for it is well known." };
  if (value >= 0.4) return { label: "fair", text: "This host has a fair number of records: its habits are roughly known." };
  return { label: "weak", text: "This host has few records: what looks odd may only be new." };
}

/** What a row is about, in a line: "10.0.0.5 → 203.0.113.7:443", "10.0.0.5 name.example". */
export function subject(source: Source, row: Row): string {
  if ("src_ip" in row) return `${row.src_ip} → ${row.dst_ip}:${row.dst_port}`;
  if (source === "dns" && "qname" in row) return `${row.client_ip} ${row.qname}`;
  return "full_uri" in row ? `${row.client_ip} ${row.method} ${row.full_uri}` : row.client_ip;
}
