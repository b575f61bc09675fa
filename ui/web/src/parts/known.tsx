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
      {said ? <Mark name={`shield r${of.reputation}`} text={said} shape="M6 0l6 2v5c0 3-2.5 5.5-6 7C2.5 12.5 0 10 0 7V2z" /> : null}
      {where ? <Mark name="globe" text={where} shape="M6 1a6 6 0 1 0 0 12A6 6 0 1 0 6 1M0 7h12M6 1c-4 4-4 8 0 12M6 1c4 4 4 8 0 12" /> : null}
      {network ? <Mark name="net" text={network} shape="M6 1a6 6 0 1 0 0 12A6 6 0 1 0 6 1M6 6v4.5M6 4v.5" /> : null}
    </span>
  );
}

function Mark({ name, text, shape }: { name: string; text: string; shape: string }) {
  return (
    <span class={`known-mark ${name}`} role="img" aria-label={text} title={text}>
      <svg viewBox="-1 0 14 14" width="12" height="12" aria-hidden="true">
        <path d={shape} />
      </svg>
    </span>
  );
}
