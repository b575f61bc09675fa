// What the numbers of an explanation say, in sentences. Everything here comes from the scores; nothing is guessed.

import type { Feature, Why } from "../api/types";
import { share } from "../text/units";
import type { Row } from "./list";

/** The feature that decided, if the explanation names one that the word has. */
export function decidingFeature(why: Why): Feature | undefined {
  return why.features.find((feature) => feature.name === why.feature);
}

/** One line for the table. */
export function summary(row: Row): string {
  const { why, standing } = row;
  const feature = decidingFeature(why);
  const what = feature ? `${feature.label} ${feature.meaning}` : "this combination";
  return `${what}: ${frequency(row)}${standing.word_hosts === 1 ? ", no other host" : ""}`;
}

function frequency({ why, standing }: Row): string {
  if (standing.score === 0) return "never seen when the model was made";
  if (why.host_share !== null) return `${share(why.host_share)} of this host's records`;
  return "rare for this host";
}

/** What the confidence means. */
export function confidence(value: number): { label: string; text: string } {
  if (value >= 0.8) return { label: "solid", text: "This host has many records: what is usual for it is well known." };
  if (value >= 0.4) return { label: "fair", text: "This host has a fair number of records: its habits are roughly known." };
  return { label: "weak", text: "This host has few records: what looks odd may only be new." };
}
