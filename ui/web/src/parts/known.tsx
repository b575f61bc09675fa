// What files of the context say of a value, as marks beside it: a shield for the reputation lists, a globe for the place,
// an i for the network's name. The tooltip has the words; the value's menu has all that is known.

import type { Known } from "../api/types";
import { escapeText } from "../text/hostile";

/** Reputation in words, as Apache Spot had it. */
const LEVELS: Record<number, string> = { [-1]: "unverified", 0: "none", 1: "low", 2: "medium", 3: "high" };

export const reputationText = (level: number): string => LEVELS[level] ?? String(level);

/** The worst that lists say of a row's values; 0 where they say nothing. */
export const worst = (known: readonly Known[]): number => Math.max(0, ...known.map((one) => one.reputation ?? 0));

export function Marks({ known, field }: { known: readonly Known[]; field: string }) {
  const of = known.find((one) => one.field === field);
  if (!of) return null;
  const said = of.reputation === null ? undefined : `Reputation ${reputationText(of.reputation)}: ${escapeText(of.reputation_source ?? "", 200)}`;
  const where = of.geo === null ? undefined : escapeText(of.geo, 200);
  const network = of.network_context === null ? undefined : escapeText(of.network_context, 200);
  return (
    <span class="marks">
      {said ? <Mark name={`shield r${of.reputation}`} text={said} sign="⛨" /> : null}
      {where ? <Mark name="globe" text={where} sign="◍" /> : null}
      {network ? <Mark name="net" text={network} sign="i" /> : null}
    </span>
  );
}

function Mark({ name, text, sign }: { name: string; text: string; sign: string }) {
  return (
    <span class={`mark ${name}`} role="img" aria-label={text} title={text}>
      {sign}
    </span>
  );
}
