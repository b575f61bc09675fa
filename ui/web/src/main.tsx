import { render } from "preact";
import { App } from "./app/App";
import { followAddress } from "./app/route";
import { followTheme } from "./app/theme";

followTheme();
followAddress();
const root = document.getElementById("app");
if (root) render(<App />, root);
