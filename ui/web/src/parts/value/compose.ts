// Queries put together from values. The grammar is the server's (`/api/v1/query`); here text is only quoted and joined.

const WORD = /^(?!.*\.\.)[A-Za-z0-9_.:/%@-]+$/;
const KEYWORDS = new Set(["and", "or", "not", "in", "exists"]);

/** A value as a query has it: as it is where that is plain, else quoted, with what cannot be typed escaped. */
export function literal(value: string): string {
  if (WORD.test(value) && !KEYWORDS.has(value.toLowerCase())) return value;
  let out = "";
  for (const character of value) {
    if (character === '"' || character === "\\") out += `\\${character}`;
    else if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(character)) out += `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
    else out += character;
  }
  return `"${out}"`;
}

/** `field == value`. */
export const is = (field: string, value: string): string => `${field} == ${literal(value)}`;

/** Does the query need parentheses before something is joined to it by `and`? Rather once too often. */
function wrapped(query: string): string {
  const outside = query.replace(/"(?:[^"\\]|\\.)*"/g, "");
  return /\bor\b|\|\|/i.test(outside) ? `(${query})` : query;
}

/** Both: `query` as it is, and the test. */
export function both(query: string, test: string): string {
  return query.trim() === "" ? test : `${wrapped(query.trim())} and ${test}`;
}

export const include = (query: string, field: string, value: string): string => both(query, is(field, value));
export const exclude = (query: string, field: string, value: string): string => both(query, `${field} != ${literal(value)}`);
