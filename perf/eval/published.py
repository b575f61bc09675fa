"""Readers for public labelled sets that are not at hand, from their published field lists: CTU-13, UNSW-NB15, CIDDS-001, UGR'16, LANL 2015.

UNTESTED ON THE ORIGINALS: `test_published.py` holds lines made by the field lists, no lines of the sets. Every reader gives rows with the columns of DATA-MODEL.md
and a `label`; a line that cannot be read is counted in `Rejected` with its reason and left out. Sets longer than a day are folded onto one (see `clock.fold`).
"""

import collections
import csv
import datetime
import ipaddress
import os

from clock import fold
from sets import hash_of, number, opened

PROTO = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ipv6-icmp": 58, "ospf": 89, "sctp": 132}


class Rejected(collections.Counter):
    """Lines left out, by reason."""


def seconds(text, *forms):
    """A moment in seconds since 1970, taken as UTC: the sets do not say their zone."""
    for form in forms:
        try:
            return datetime.datetime.strptime(text.strip(), form).replace(tzinfo=datetime.timezone.utc).timestamp()
        except ValueError:
            continue
    raise ValueError(f"no moment: {text!r}")


def port(text):
    """A port; Argus writes those of ICMP in hexadecimal."""
    text = (text or "").strip()
    value = int(text, 16) if text.lower().startswith("0x") else int(float(text or 0))
    return value if 0 <= value <= 65535 else 0


def protocol(text):
    text = text.strip().lower()
    return PROTO.get(text, int(text) if text.isdigit() and int(text) < 256 else 255)


def address(text):
    """The address; a name that stands for one (sets that hide theirs) becomes always the same address of 198.18.0.0/15 (RFC 2544)."""
    text = text.strip()
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if not text:
            raise
        return str(ipaddress.ip_address("198.18.0.0") + hash_of(text) % (1 << 17))


def magnitude(text):
    """A count; nfdump writes large ones as `2.1 M`."""
    parts = text.split()
    scale = {"K": 1e3, "M": 1e6, "G": 1e9}.get(parts[1], None) if len(parts) == 2 else 1
    return int(float(parts[0]) * scale)


def finish(flows):
    """Flows with a start in seconds become rows of one day."""
    if not flows:
        return []
    at = fold([flow["start"] for flow in flows])
    rows = []
    for flow in flows:
        start = at(flow.pop("start"))
        rows.append({"first_seen": start, "last_seen": start + int(flow["duration"] * 1e6), "flow_start": start, "segment": 0, "conn_state": None,
                     "service": None, **flow})
    rows.sort(key=lambda row: row["first_seen"])
    return rows


def read(lines, of, rejected):
    flows = []
    for line in lines:
        try:
            flow = of(line)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            rejected[f"{type(error).__name__}: {str(error)[:60]}"] += 1
            continue
        if flow is not None:
            flows.append(flow)
    return finish(flows)


def ctu13(path, rejected):
    """*.binetflow (Argus): StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,Label. Packets are of both directions
    together: they are divided as the bytes are."""
    def of(r):
        both, sent, packets = int(r["TotBytes"]), int(r["SrcBytes"]), int(r["TotPkts"])
        back = max(0, both - sent)
        there = packets if back == 0 else min(packets - 1, max(1, round(packets * sent / max(1, both)))) if packets > 1 else packets
        return {"start": seconds(r["StartTime"], "%Y/%m/%d %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S"), "duration": float(r["Dur"] or 0),
                "src_ip": address(r["SrcAddr"]), "dst_ip": address(r["DstAddr"]), "src_port": port(r["Sport"]), "dst_port": port(r["Dport"]),
                "proto": protocol(r["Proto"]), "src_packets": there, "src_bytes": sent, "dst_packets": packets - there, "dst_bytes": back,
                "label": int("botnet" in r["Label"].lower())}
    return read(csv.DictReader(opened(path)), of, rejected)


def unsw_nb15(path, rejected):
    """UNSW-NB15_1.csv to _4.csv: 49 fields, no header: srcip, sport, dstip, dsport, proto, state, dur, sbytes, dbytes, … service (14), … Spkts (17), Dpkts (18), …
    Stime (29), Ltime (30), … attack_cat (48), Label (49)."""
    def of(r):
        if len(r) != 49:
            raise ValueError(f"{len(r)} fields, 49 are expected")
        service = r[13].strip()
        return {"start": float(r[28]), "duration": float(r[6] or 0), "src_ip": address(r[0]), "dst_ip": address(r[2]), "src_port": port(r[1]),
                "dst_port": port(r[3]), "proto": protocol(r[4]), "src_packets": int(r[16]), "src_bytes": int(r[7]), "dst_packets": int(r[17]),
                "dst_bytes": int(r[8]), "service": {"-": None, "": None, "ssl": "tls"}.get(service, service), "label": int(r[48])}
    return read(csv.reader(opened(path)), of, rejected)


def cidds001(path, rejected):
    """CIDDS-001-*.csv (nfdump): Date first seen,Duration,Proto,Src IP Addr,Src Pt,Dst IP Addr,Dst Pt,Packets,Bytes,Flows,Flags,Tos,class,attackType,attackID,
    attackDescription. One direction a line; outside addresses are hidden behind names; class attacker and victim are the attack's two directions."""
    def of(r):
        return {"start": seconds(r["Date first seen"], "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S"), "duration": float(r["Duration"]),
                "src_ip": address(r["Src IP Addr"]), "dst_ip": address(r["Dst IP Addr"]), "src_port": port(r["Src Pt"]), "dst_port": port(r["Dst Pt"]),
                "proto": protocol(r["Proto"]), "src_packets": magnitude(r["Packets"]), "src_bytes": magnitude(r["Bytes"]), "dst_packets": None,
                "dst_bytes": None, "label": int(r["class"].strip() in ("attacker", "victim"))}
    return read(csv.DictReader(opened(path)), of, rejected)


def ugr16(path, rejected):
    """UGR'16 weekly CSV (nfdump), no header: end of the flow, duration, source, destination, source port, destination port, protocol, flags, forwarding status, ToS,
    packets, bytes, label. One direction a line; blacklist and anomaly-* labels count as attacks beside dos, scan*, nerisbotnet and the like."""
    def of(r):
        if len(r) != 13:
            raise ValueError(f"{len(r)} fields, 13 are expected")
        duration = float(r[1])
        return {"start": seconds(r[0], "%Y-%m-%d %H:%M:%S") - duration, "duration": duration, "src_ip": address(r[2]), "dst_ip": address(r[3]),
                "src_port": port(r[4]), "dst_port": port(r[5]), "proto": protocol(r[6]), "src_packets": int(r[10]), "src_bytes": int(r[11]),
                "dst_packets": None, "dst_bytes": None, "label": int(r[12].strip().lower() != "background")}
    return read(csv.reader(opened(path)), of, rejected)


def lanl(folder, rejected):
    """LANL 2015: flows.txt (time, duration, source computer, source port, destination computer, destination port, protocol, packets, bytes) and redteam.txt (time, user,
    source computer, destination computer). Times are seconds from an unnamed start; ports and computers are hidden behind names (`N10451`, `C1707`), well-known ports are
    not. A flow between the two computers of a red-team event, within an hour of it, counts as an attack: the set labels log-ons, no flows."""
    events = collections.defaultdict(list)
    for r in csv.reader(opened(os.path.join(folder, "redteam.txt"))):
        try:
            events[(r[2], r[3])].append(float(r[0]))
        except (ValueError, IndexError):
            rejected["redteam.txt"] += 1

    def hidden(text):
        return 49152 + hash_of(text) % 16384 if text.startswith("N") else port(text)

    def of(r):
        if len(r) != 9:
            raise ValueError(f"{len(r)} fields, 9 are expected")
        start = float(r[0])
        attack = any(abs(start - time) <= 3600 for time in events.get((r[2], r[4]), ()))
        return {"start": start, "duration": float(r[1]), "src_ip": address(r[2]), "dst_ip": address(r[4]), "src_port": hidden(r[3]), "dst_port": hidden(r[5]),
                "proto": protocol(r[6]), "src_packets": int(r[7]), "src_bytes": int(r[8]), "dst_packets": None, "dst_bytes": None, "label": int(attack)}
    return read(csv.reader(opened(os.path.join(folder, "flows.txt"))), of, rejected)


# Reader, and what its set cannot show.
READERS = {
    "ctu13": (ctu13, "one botnet's hosts; background is not labelled benign"),
    "unsw-nb15": (unsw_nb15, "attacks of a generator, an eighth of all flows"),
    "cidds001": (cidds001, "one direction a record; a few hosts of a synthetic office"),
    "ugr16": (ugr16, "one direction a record; a provider's net: no host is inside"),
    "lanl": (lanl, "log-ons are labelled, not flows; most ports are hidden"),
}
