// Theme, contrast and zone, in a small panel.

import { Popover } from "../parts/Popover";
import { zoneOffset } from "../text/time";
import { contrast, theme, zone } from "./settings";

export function Settings() {
  return (
    <Popover label="Display" sign={theme.value === "dark" ? "●" : theme.value === "light" ? "○" : "◐"} class="icon" align="end">
      {() => (
        <div class="settings">
          <Choice label="Theme" now={theme.value} options={[["system", "As the system"], ["light", "Light"], ["dark", "Dark"]]} onChoose={(value) => (theme.value = value)} />
          <Choice label="Contrast" now={contrast.value} options={[["system", "As the system"], ["more", "High"]]} onChoose={(value) => (contrast.value = value)} />
          <Choice label="Times" now={zone.value} options={[["utc", "UTC"], ["local", `Local, now ${zoneOffset(new Date())}`]]} onChoose={(value) => (zone.value = value)} />
        </div>
      )}
    </Popover>
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
