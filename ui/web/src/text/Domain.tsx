import { spelled } from "./punycode";
import { Wire } from "./Wire";

/** A name: as it was sent, and what its `xn--` labels spell beside it, set apart so that it cannot pass for the name. */
export function Domain({ name, limit }: { name: string; limit?: number }) {
  const reads = spelled(name);
  return (
    <>
      <Wire text={name} {...(limit === undefined ? {} : { limit })} class="mono" />
      {reads === undefined ? null : (
        <span class="spells" title="What the encoded labels spell. Letters of other alphabets can look the same.">
          {" "}
          “<Wire text={reads} limit={120} />”
        </span>
      )}
    </>
  );
}
