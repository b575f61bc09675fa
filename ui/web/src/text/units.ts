// Numbers as an analyst reads them. Exact values belong in a tooltip beside the short ones.

const grouped = new Intl.NumberFormat("en-US");
const STEPS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"] as const;

/** 1234567 → "1,234,567" */
export function count(value: number): string {
  return grouped.format(value);
}

/** 1234567 → "1.23 MB": decimal units, three digits. */
export function bytes(value: number): string {
  let rest = value;
  let step = 0;
  while (rest >= 999.5 && step < STEPS.length - 1) {
    rest /= 1000;
    step += 1;
  }
  const digits = step === 0 ? 0 : rest < 9.995 ? 2 : rest < 99.95 ? 1 : 0;
  return `${rest.toFixed(digits)} ${STEPS[step]}`;
}

/** 0.00012 → "0.012%"; two digits that matter. */
export function share(value: number): string {
  if (value === 0) return "0%";
  const percent = value * 100;
  if (percent >= 99.995 && value < 1) return ">99.99%";
  if (percent >= 10) return `${trim(percent.toFixed(1))}%`;
  if (percent < 0.0001) return "<0.0001%";
  return `${trim(percent.toPrecision(2))}%`;
}

function trim(text: string): string {
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}

/** 0.9998 → "1 in 5,000": how many records are at least this surprising. */
export function oneIn(percentile: number): string {
  const rest = 1 - percentile;
  if (rest <= 0) return "the top";
  const odds = 1 / rest;
  if (odds < 2) return "common";
  const step = 10 ** Math.max(0, Math.floor(Math.log10(odds)) - 1);
  return `1 in ${count(Math.round(odds / step) * step)}`;
}

/** Bands of surprise, by fixed shares of the records looked at. */
export type Band = "extreme" | "high" | "raised" | "usual";

/** `extreme` is the top 0.01% of records, `high` the top 0.1%, `raised` the top 1%. */
export function band(percentile: number): Band {
  if (percentile >= 0.9999) return "extreme";
  if (percentile >= 0.999) return "high";
  if (percentile >= 0.99) return "raised";
  return "usual";
}
