// What a record is of.

export const SOURCES = ["flow", "dns", "proxy"] as const;
export type Source = (typeof SOURCES)[number];

export const SOURCE_NAMES: Record<Source, string> = { flow: "Flows", dns: "DNS", proxy: "Proxy" };

/** A source by its name; flow for anything else. */
export function asSource(text: string | undefined): Source {
  return SOURCES.find((source) => source === text) ?? "flow";
}
