// Theme, contrast and zone, in a small panel. What is in it is loaded when it is opened.

import { later } from "../parts/later";
import { Popover } from "../parts/Popover";
import { display } from "./settings";

const Choices = later(() => import("./Choices").then((code) => code.Choices), "the settings");

export function Settings() {
  const { theme } = display.value;
  return (
    <Popover label="Display" sign={theme === "dark" ? "●" : theme === "light" ? "○" : "◐"} class="icon" align="end">
      {() => <Choices />}
    </Popover>
  );
}
