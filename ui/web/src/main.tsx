import { render } from "preact";
import { App } from "./app/App";
import { followAddress } from "./app/route";
import { followSettings } from "./app/settings";

followSettings();
followAddress();
const root = document.getElementById("app");
if (root) render(<App />, root);
