// Starts the layout's worker. The page's policy takes scripts from trusted addresses only (Trusted Types): this is the
// one place that names one, and it is of our own files.

import address from "./layout.worker.ts?worker&url";

interface Policy {
  createScriptURL: (url: string) => string;
}

interface Factory {
  createPolicy: (name: string, rules: { createScriptURL: (url: string) => string }) => Policy;
}

let policy: Policy | undefined;

function trusted(url: string): string {
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  if (!factory) return url;
  policy ??= factory.createPolicy("spotter-worker", {
    createScriptURL: (asked) => {
      if (new URL(asked, location.href).origin !== location.origin) throw new TypeError(`a worker of another origin: ${asked}`);
      return asked;
    },
  });
  return policy.createScriptURL(url);
}

export function layoutWorker(): Worker {
  return new Worker(trusted(address), { type: "module" });
}
