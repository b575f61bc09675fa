// What can be chosen of theme, contrast and zone.

import { useState } from "preact/hooks";
import { zoneOffset } from "../text/time";
import { choose } from "./me";
import { display, isZone, usualZone } from "./settings";
import "./settings.css";

export function Choices() {
  const { theme, contrast, zone } = display.value;
  const other = !["", "utc", "local"].includes(zone);
  const [named, setNamed] = useState(other);
  const now = new Date();
  return (
    <div class="settings">
      <Choice label="Theme" now={theme} options={[["system", "As the system"], ["light", "Light"], ["dark", "Dark"]]} onChoose={(theme) => choose({ theme })} />
      <Choice label="Contrast" now={contrast} options={[["system", "As the system"], ["more", "High"]]} onChoose={(contrast) => choose({ contrast })} />
      <Choice
        label="Times"
        now={named ? "named" : zone}
        options={[["", `As for everybody: ${usualZone.value}`], ["utc", "UTC"], ["local", `Local, now ${zoneOffset(now, "local")}`], ["named", "Of a place"]]}
        onChoose={(value) => {
          setNamed(value === "named");
          if (value !== "named") choose({ zone: value });
        }}
      />
      {named ? <ZoneField label="Zone" value={other ? zone : ""} onChoose={(zone) => choose({ zone })} /> : null}
    </div>
  );
}

/** A field for an IANA zone; what is none is marked, and not taken. */
export function ZoneField({ label, value, onChoose }: { label: string; value: string; onChoose: (name: string) => void }) {
  const [text, setText] = useState(value);
  return (
    <label>
      <span class="sr-only">{label}</span>
      <input
        list="zones"
        value={text}
        placeholder="Europe/Berlin"
        spellcheck={false}
        aria-invalid={text !== "" && !isZone(text)}
        onInput={({ currentTarget }) => {
          setText(currentTarget.value);
          // Names have a slash; "EST" and the like, typed on the way to one, are none that is meant.
          if (currentTarget.value === "UTC" || (currentTarget.value.includes("/") && isZone(currentTarget.value))) onChoose(currentTarget.value);
        }}
      />
      <datalist id="zones">
        {["UTC", ...Intl.supportedValuesOf("timeZone")].map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </label>
  );
}

function Choice<T extends string>({ label, now, options, onChoose }: { label: string; now: T; options: readonly (readonly [T, string])[]; onChoose: (value: T) => void }) {
  return (
    <fieldset>
      <legend>{label}</legend>
      {options.map(([value, text]) => (
        <label key={value}>
          <input type="radio" name={label} checked={value === now} onChange={() => onChoose(value)} />
          {text}
        </label>
      ))}
    </fieldset>
  );
}
