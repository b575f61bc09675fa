import { pieces } from "./hostile";

/** Text from the wire. Escapes are set apart so that a real backslash cannot pass for one. */
export function Wire({ text, limit, class: className }: { text: string; limit?: number; class?: string }) {
  return (
    <bdi class={className ? `wire ${className}` : "wire"}>
      {pieces(text, limit).map((piece) => (piece.escaped ? <span class="escape">{piece.text}</span> : piece.text))}
    </bdi>
  );
}
