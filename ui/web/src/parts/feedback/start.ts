// The condition that scoring a value begins with.

import type { Matcher } from "../../api/types";

export function startOf(field: string, value: string): Partial<Matcher> | undefined {
  switch (field) {
    case "ip":
    case "src_ip":
    case "dst_ip":
    case "client_ip":
    case "server_ip":
      return { address: value };
    case "qname":
    case "host":
      return { domain: value };
    case "port":
    case "dst_port":
      return { port: value };
    case "uri":
      return { uri: value };
    case "agent":
      return { agent: value };
    default:
      return undefined;
  }
}
