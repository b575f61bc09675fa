// The picture beside the table: a graph for flows and DNS, a tree for the proxy.

import type { Source } from "../../../text/source";
import type { Row } from "../list";
import { Network } from "./Network";
import { ProxyTree } from "./ProxyTree";
import "./picture.css";

interface Props {
  source: Source;
  date: string;
  rows: readonly Row[];
  selected: string;
  query: string;
  hide: string;
}

export function Picture(props: Props) {
  return props.source === "proxy" ? <ProxyTree {...props} /> : <Network key={`${props.source} ${props.date}`} {...props} />;
}
