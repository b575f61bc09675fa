// Numbers of the protocols as names: IANA registries, the entries an analyst meets.

const PROTOCOLS: Record<number, string> = {
  1: "ICMP", 2: "IGMP", 4: "IPIP", 6: "TCP", 17: "UDP", 41: "IPv6", 47: "GRE", 50: "ESP", 51: "AH",
  58: "ICMPv6", 89: "OSPF", 103: "PIM", 112: "VRRP", 132: "SCTP", 136: "UDPLite",
};
const QTYPES: Record<number, string> = {
  1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 10: "NULL", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 17: "RP", 24: "SIG",
  25: "KEY", 28: "AAAA", 29: "LOC", 33: "SRV", 35: "NAPTR", 39: "DNAME", 41: "OPT", 43: "DS", 44: "SSHFP", 46: "RRSIG",
  47: "NSEC", 48: "DNSKEY", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 99: "SPF", 249: "TKEY",
  250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "ANY", 256: "URI", 257: "CAA",
};
const QCLASSES: Record<number, string> = { 1: "IN", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY" };
const RCODES: Record<number, string> = {
  0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 7: "YXRRSET",
  8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 23: "BADCOOKIE",
};

export const protocol = (number: number): string => PROTOCOLS[number] ?? `proto ${number}`;
export const queryType = (number: number): string => QTYPES[number] ?? `TYPE${number}`;
export const queryClass = (number: number): string => QCLASSES[number] ?? `CLASS${number}`;
/** null: no answer was seen. */
export const responseCode = (number: number | null): string => (number === null ? "no answer" : (RCODES[number] ?? `RCODE${number}`));

/** nfdump's six places: `.AP.SF`. */
export function tcpFlags(flags: number | null): string {
  if (flags === null) return "";
  return [..."UAPRSF"].map((letter, at) => (flags & (0x20 >> at) ? letter : ".")).join("");
}

/** ICMP has no ports: type·256+code stands in dst_port. */
export function port(number: number, proto: number, side: "src" | "dst"): string {
  if (proto !== 1 && proto !== 58) return String(number);
  return side === "src" ? "–" : `${number >> 8}/${number & 255}`;
}
