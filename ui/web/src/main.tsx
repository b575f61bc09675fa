import { render } from "preact";
import { whenSignedOut } from "./api/client";
import { App } from "./app/App";
import { signInAgain } from "./app/me";
import { followAddress } from "./app/route";
import { followSettings } from "./app/settings";

followSettings();
whenSignedOut(signInAgain);
followAddress();
const root = document.getElementById("app");
if (root) render(<App />, root);
