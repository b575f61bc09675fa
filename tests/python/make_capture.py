#!/usr/bin/env python3
"""Writes a capture of DNS lookups whose every count is known beforehand, and prints those counts as JSON.

    make_capture.py OUT.pcap

400 lookups over four hours and two days, IPv4 and IPv6, each from its own port: a query and an answer, so 400
flows of one packet each way and 400 rows of dns, every tenth with NXDOMAIN.
"""

import ipaddress
import json
import struct
import sys

START = 1795298400  # 2026-11-21 22:00:00 UTC
LOOKUPS = 400
STEP = 4 * 3600 / LOOKUPS


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(source, target, sport, dport, payload):
    """An Ethernet frame, and the length of its IP packet."""
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(target)
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", sport, dport, length, 0)
    pseudo = a.packed + b.packed + struct.pack("!IHBB", length, 0, 0, 17) if a.version == 6 else (
        a.packed + b.packed + struct.pack("!BBH", 0, 17, length)
    )
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp + payload) or 0xFFFF)
    if a.version == 4:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, 17, 0, a.packed, b.packed)
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        ethertype = 0x0800
    else:
        header = struct.pack("!IHBB16s16s", 6 << 28, length, 17, 64, a.packed, b.packed)
        ethertype = 0x86DD
    ip = header + udp + payload
    return bytes.fromhex("020000000001020000000002") + struct.pack("!H", ethertype) + ip, len(ip)


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    counts = {"flow": 0, "dns": 0, "src_packets": 0, "src_bytes": 0, "dst_packets": 0, "dst_bytes": 0, "rcode": 0}
    with open(sys.argv[1], "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))

        def record(at, frame):
            seconds = int(at)
            out.write(struct.pack("<IIII", seconds, int((at - seconds) * 1e6), len(frame), len(frame)) + frame)

        for n in range(LOOKUPS):
            client, server = ("192.0.2.10", "192.0.2.53") if n % 2 else ("2001:db8::10", "2001:db8::53")
            rcode = 3 if n % 10 == 9 else 0
            question = name(f"host{n}.example.com") + struct.pack("!HH", 1, 1)
            query = struct.pack("!HHHHHH", n, 0x0100, 1, 0, 0, 0) + question
            answer = struct.pack("!HHHHHH", n, 0x8180 | rcode, 1, 0 if rcode else 1, 0, 0) + question
            if not rcode:
                answer += struct.pack("!HHHIH4s", 0xC00C, 1, 1, 300, 4, bytes([198, 51, 100, n % 256]))
            at = START + n * STEP
            frame, length = packet(client, server, 20000 + n, 53, query)
            record(at, frame)
            counts["src_packets"] += 1
            counts["src_bytes"] += length
            frame, length = packet(server, client, 53, 20000 + n, answer)
            record(at + 0.02, frame)
            counts["dst_packets"] += 1
            counts["dst_bytes"] += length
            counts["flow"] += 1
            counts["dns"] += 1
            counts["rcode"] += rcode
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
