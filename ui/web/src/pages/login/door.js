// The page works without this. With it, the view that was asked for (the fragment of the address) is there after signing in.
"use strict";
for (const form of document.forms) {
  if (location.hash) form.action += location.hash;
}
const first = [...document.querySelectorAll("input")].find((input) => input.value === "");
if (first) first.focus();
