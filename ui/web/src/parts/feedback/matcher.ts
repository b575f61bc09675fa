// Conditions on records, as verdicts and rules have them: put together, and said in words.

import type { Matcher } from "../../api/types";
import { protocol, queryType } from "../../text/names";
import type { Source } from "../../text/source";

const NOTHING: Matcher = {
  address: null, agent: null, bytes: null, domain: null, group: null, host: null, packets: null, peer: null, port: null, proto: null,
  qtype: null, src_port: null, uri: null,
};

/** A matcher of what is given; empty texts are left out. */
export function matcherOf(part: Partial<Matcher>): Matcher {
  const given = Object.fromEntries(Object.entries(part).filter(([, value]) => value !== null && value !== ""));
  return { ...NOTHING, ...given };
}

/** A condition as a form has it. */
export interface Condition {
  key: keyof Matcher;
  label: string;
  hint: string;
  sources: readonly Source[];
}

const ALL: readonly Source[] = ["flow", "dns", "proxy"];

/** Conditions one can write, in the order they are shown. */
export const CONDITIONS: readonly Condition[] = [
  { key: "address", label: "Address", hint: "either side: 10.0.0.5 or 10.0.0.0/8", sources: ALL },
  { key: "host", label: "Host", hint: "initiator or client: address or network", sources: ALL },
  { key: "peer", label: "Peer", hint: "responder or server: address or network", sources: ALL },
  { key: "port", label: "Port", hint: "responder's: 445 or 8000-8100", sources: ["flow"] },
  { key: "src_port", label: "Source port", hint: "initiator's: 123 or 1024-65535", sources: ["flow"] },
  { key: "proto", label: "Protocol", hint: "number: 6 TCP, 17 UDP", sources: ["flow"] },
  { key: "packets", label: "Packets", hint: "initiator's: 1-3", sources: ["flow"] },
  { key: "bytes", label: "Bytes", hint: "initiator's: 0-200", sources: ["flow"] },
  { key: "domain", label: "Domain", hint: "this name and all below it: example.com", sources: ["dns", "proxy"] },
  { key: "qtype", label: "Query type", hint: "number: 16 TXT", sources: ["dns"] },
  { key: "uri", label: "URI", hint: "begins with", sources: ["proxy"] },
  { key: "agent", label: "User agent", hint: "exactly", sources: ["proxy"] },
];

/** What a text of a form becomes: numbers where numbers are asked for. Undefined if it is none. */
export function readCondition(key: keyof Matcher, text: string): string | number | undefined {
  const value = text.trim();
  if (key !== "proto" && key !== "qtype") return value;
  return /^\d{1,5}$/.test(value) ? Number(value) : undefined;
}

/** What it takes, in words: "host 10.0.0.5, port 445". */
export function inWords(matcher: Matcher | null): string {
  if (!matcher) return "";
  const parts: string[] = [];
  if (matcher.group) parts.push(`group ${matcher.group}`);
  for (const { key, label } of CONDITIONS) {
    const value = matcher[key];
    if (value === null || value === undefined) continue;
    const text = key === "proto" ? protocol(Number(value)) : key === "qtype" ? queryType(Number(value)) : String(value);
    parts.push(`${label.toLowerCase()} ${text}`);
  }
  return parts.join(", ");
}
