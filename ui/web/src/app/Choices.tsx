// What can be chosen of theme, contrast and zone.

import { useState } from "preact/hooks";
import { zoneOffset } from "../text/time";
import { contrast, isZone, theme, usualZone, zone } from "./settings";
import "./settings.css";

export function Choices() {
  const other = !["", "utc", "local"].includes(zone.value);
  const [named, setNamed] = useState(other);
  const now = new Date();
  return (
    <div class="settings">
      <Choice label="Theme" now={theme.value} options={[["system", "As the system"], ["light", "Light"], ["dark", "Dark"]]} onChoose={(value) => (theme.value = value)} />
      <Choice label="Contrast" now={contrast.value} options={[["system", "As the system"], ["more", "High"]]} onChoose={(value) => (contrast.value = value)} />
      <Choice
        label="Times"
        now={named ? "named" : zone.value}
        options={[["", `As for everybody: ${usualZone.value}`], ["utc", "UTC"], ["local", `Local, now ${zoneOffset(now, "local")}`], ["named", "Of a place"]]}
        onChoose={(value) => {
          setNamed(value === "named");
          if (value !== "named") zone.value = value;
        }}
      />
      {named ? <ZoneField label="Zone" value={other ? zone.value : ""} onChoose={(name) => (zone.value = name)} /> : null}
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
