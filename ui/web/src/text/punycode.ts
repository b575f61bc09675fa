// RFC 3492 decoding, so that an xn-- label can be shown beside what it imitates. The encoded form always leads.

const BASE = 36;
const T_MIN = 1;
const T_MAX = 26;
const SKEW = 38;
const DAMP = 700;

function adapt(delta: number, points: number, first: boolean): number {
  let rest = first ? Math.floor(delta / DAMP) : delta >> 1;
  rest += Math.floor(rest / points);
  let k = 0;
  while (rest > ((BASE - T_MIN) * T_MAX) >> 1) {
    rest = Math.floor(rest / (BASE - T_MIN));
    k += BASE;
  }
  return k + Math.floor(((BASE - T_MIN + 1) * rest) / (rest + SKEW));
}

function digit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30 + 26;
  if (code >= 0x41 && code <= 0x5a) return code - 0x41;
  if (code >= 0x61 && code <= 0x7a) return code - 0x61;
  return BASE;
}

/** Decodes one label without its `xn--`; undefined if it is not valid. */
export function decodeLabel(input: string): string | undefined {
  if (input.length > 63) return undefined;
  const dash = input.lastIndexOf("-");
  const output = dash > 0 ? Array.from(input.slice(0, dash), (c) => c.codePointAt(0) ?? 0) : [];
  let n = 128;
  let i = 0;
  let bias = 72;
  let at = dash > 0 ? dash + 1 : 0;
  while (at < input.length) {
    const before = i;
    let weight = 1;
    for (let k = BASE; ; k += BASE) {
      if (at >= input.length) return undefined;
      const value = digit(input.charCodeAt(at));
      at += 1;
      if (value >= BASE) return undefined;
      i += value * weight;
      const threshold = k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
      if (value < threshold) break;
      weight *= BASE - threshold;
      if (weight > 0x7fffffff) return undefined;
    }
    bias = adapt(i - before, output.length + 1, before === 0);
    n += Math.floor(i / (output.length + 1));
    i %= output.length + 1;
    if (n > 0x10ffff || (n >= 0xd800 && n <= 0xdfff)) return undefined;
    output.splice(i, 0, n);
    i += 1;
  }
  return String.fromCodePoint(...output);
}

/** What an internationalised name spells, or undefined if it has no (valid) `xn--` label. */
export function spelled(name: string): string | undefined {
  let found = false;
  const labels = name.split(".").map((label) => {
    if (!/^xn--/i.test(label)) return label;
    const decoded = decodeLabel(label.slice(4));
    if (decoded === undefined) return label;
    found = true;
    return decoded;
  });
  return found ? labels.join(".") : undefined;
}
