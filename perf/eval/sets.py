"""The labelled development sets, read into records. What each can and cannot show stands beside it and is printed with its figures."""

import csv
import gzip
import os
import random

from clock import DAY_MICROS, MIDNIGHT, fold, zeek

PROTO = {"tcp": 6, "udp": 17, "icmp": 1}


def opened(path):
    if os.path.exists(path + ".gz"):
        return gzip.open(path + ".gz", "rt", errors="replace")
    return open(path, errors="replace")


def number(text, default=None):
    try:
        return max(0, int(float(text)))
    except (TypeError, ValueError):
        return default


def zeek_conn(path):
    rows = [r for r in zeek(opened(path)) if r.get("id.orig_h")]
    at = fold([float(r["ts"]) for r in rows])
    out = []
    for r in rows:
        start = at(float(r["ts"]))
        out.append({
            "first_seen": start, "last_seen": start + int(float(r["duration"] or 0) * 1e6), "flow_start": start, "segment": 0,
            "src_ip": r["id.orig_h"], "dst_ip": r["id.resp_h"], "src_port": number(r["id.orig_p"], 0), "dst_port": number(r["id.resp_p"], 0),
            "proto": PROTO.get(r["proto"], 0), "src_packets": number(r["orig_pkts"], 0), "src_bytes": number(r["orig_ip_bytes"], 0),
            "dst_packets": number(r["resp_pkts"], 0), "dst_bytes": number(r["resp_ip_bytes"], 0), "conn_state": r["conn_state"],
            "service": {"ssl": "tls"}.get(r["service"], r["service"]), "label": int((r["label"] or "").lower() == "malicious"),
            "duration": float(r["duration"] or 0),
        })
    return out


def zeek_dns(path):
    rows = [r for r in zeek(opened(path)) if r.get("query")]
    at = fold([float(r["ts"]) for r in rows])
    return [{
        "first_seen": at(float(r["ts"])), "last_seen": at(float(r["ts"])), "client_ip": r["id.orig_h"], "client_port": number(r["id.orig_p"], 0),
        "server_ip": r["id.resp_h"], "server_port": number(r["id.resp_p"], 0), "transport": r["proto"], "qname": r["query"].lower(),
        "qname_wire": r["query"], "qtype": number(r["qtype"], 0), "qclass": number(r["qclass"], 1), "rcode": number(r["rcode"]),
        "query_len": min(65535, len(r["query"]) + 18), "response_len": min(65535, len(r["query"]) + 34 + 16 * len((r.get("answers") or "").split(","))),
        "label": int((r["label"] or "").lower() == "malicious"),
    } for r in rows]


def tunnels(path, seed, incidents=40, clients=150):
    """Incidents out of single captures: the benign client's questions are dealt out to clients by session; every tunnel has its own random
    domain, client, start and rate."""
    rng = random.Random(seed)
    benign, tools = [], {}
    for r in csv.DictReader(gzip.open(path, "rt")):
        if r["is_response"] == "0":
            (benign if r["label"] == "benign" else tools.setdefault(r["tool"], [])).append(r)
    at = fold([float(r["ts"]) for r in benign])
    addresses = [f"10.1.{i // 250}.{i % 250 + 1}" for i in range(clients)]
    rows, session, owner = [], None, None
    # Two thirds of the capture's sessions, another draw for each seed.
    for r in benign:
        part = int(float(r["ts"]) // 300)
        if part != session:
            session, owners, keep = part, rng.sample(addresses, 12), rng.random() < 0.67
        if keep:
            owner = owners[hash_of(r["qname"]) % 12]
            rows.append(question(owner, at(float(r["ts"])), r["qname"], r, 0))
    facts = []
    for number_ in range(incidents):
        tool = rng.choice(sorted(tools))
        wanted = int(10 ** rng.uniform(0.5, 3.0))
        source = [r for r in tools[tool] if r["qname"].endswith("ggy666.tk")]
        start = rng.randrange(max(1, len(source) - wanted))
        chosen = source[start:start + wanted]
        gap = 10 ** rng.uniform(-0.3, 1.9)
        domain = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(5, 12))) + "." + rng.choice(["com", "net", "org", "tk", "info", "xyz"])
        client = rng.choice(addresses)
        time = MIDNIGHT + rng.randrange(int(DAY_MICROS * 0.6))
        name = f"tunnel-{number_}"
        carried = 0
        for r in chosen:
            time = min(time + int(rng.expovariate(1 / gap) * 1e6), MIDNIGHT + DAY_MICROS - 1)
            qname = r["qname"][: -len("ggy666.tk")] + domain
            carried += len(qname) - len(domain)
            rows.append(question(client, time, qname, r, name))
        facts.append({"incident": name, "tool": tool, "questions": len(chosen), "gap_s": gap, "characters": carried,
                      "characters_per_s": carried / max(1.0, gap * len(chosen)), "domain": domain, "client": client})
    rows.sort(key=lambda row: row["first_seen"])
    return rows, facts


def hash_of(text):
    value = 0
    for letter in text.encode("utf-8", "replace"):
        value = (value * 31 + letter) & 0xFFFFFFFF
    return value


def question(client, time, qname, r, label):
    return {
        "first_seen": time, "last_seen": time + 20_000, "client_ip": client, "client_port": 40000, "server_ip": "10.1.255.1", "server_port": 53,
        "transport": "udp", "qname": qname.lower(), "qname_wire": qname, "qtype": number(r["qtype"], 1), "qclass": 1, "rcode": 0,
        "query_len": number(r["frame_len"], 60) - 42, "response_len": number(r["frame_len"], 60), "label": label,
    }


FLOW_SETS = {
    "botnet-4": ("CTU-Malware-Capture-Botnet-4/ground_truth/conn.log.labeled", "one infected host: nearly all benign flows come from it too"),
    "001-c2": ("001-zeek-scenario-malicious/labeled-conn.log", "one infected device, C&C only"),
    "008-attacked": ("008-zeek-mixed/data/conn.log.labeled", "attackers outside against one device; most flows are malicious"),
}
DNS_SETS = {"009-dns": ("009-zeek-malicious/data/dns.log.labeled", "6 malicious questions of 24,181: one host; says little")}
