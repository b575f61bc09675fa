// Text from the wire is written by strangers. It is shown as text nodes only, and what could hide, reorder or
// imitate other text is shown as an escape: control characters, bidirectional and zero-width marks, odd spaces,
// lone surrogates, private-use characters, and piles of combining marks.

/** A stretch of text: `escaped` stretches are escapes of characters that must not act. */
export interface Piece {
  text: string;
  escaped: boolean;
}

const ACTS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]|(?! )\p{Zs}|[\u115f\u1160\u3164\uffa0\u034f\ufe00-\ufe0f]/u;
const MARK = /\p{M}/u;
/** Combining marks let through in a row; written languages need two. */
const MARKS = 2;

function escapeCharacter(character: string): string {
  switch (character) {
    case "\n":
      return "\\n";
    case "\r":
      return "\\r";
    case "\t":
      return "\\t";
  }
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return `\\u{${code.toString(16)}}`;
}

/** Splits `text` into what may be shown as it is and what is shown as an escape. At most `limit` characters are taken. */
export function pieces(text: string, limit = 4096): Piece[] {
  const out: Piece[] = [];
  let marks = 0;
  let taken = 0;
  const push = (part: string, escaped: boolean) => {
    const last = out.at(-1);
    if (last && last.escaped === escaped) last.text += part;
    else out.push({ text: part, escaped });
  };
  for (const character of text) {
    if (taken === limit) {
      push("…", false);
      break;
    }
    taken += 1;
    marks = MARK.test(character) ? marks + 1 : 0;
    if (marks > MARKS || ACTS.test(character)) push(escapeCharacter(character), true);
    else push(character, false);
  }
  return out;
}

/** The same as one string, for tooltips and labels. */
export function escapeText(text: string, limit = 4096): string {
  return pieces(text, limit)
    .map((piece) => piece.text)
    .join("");
}
