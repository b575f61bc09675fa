#!/usr/bin/env python3
"""Reads a Prometheus text exposition with Prometheus's own parser, and checks names by its conventions.

    read_metrics.py FILE
"""
import re
import sys

from prometheus_client.parser import text_string_to_metric_families

text = open(sys.argv[1], encoding="utf-8").read()
families = list(text_string_to_metric_families(text))
wrong = []
names = set()
for family in families:
    if family.name in names:
        wrong.append(f"{family.name}: stands twice")
    names.add(family.name)
    if not family.documentation:
        wrong.append(f"{family.name}: no HELP")
    if family.type not in ("counter", "gauge", "summary"):
        wrong.append(f"{family.name}: type {family.type}")
    if not re.fullmatch(r"(spotter|process)_[a-z_]+", family.name):
        wrong.append(f"{family.name}: a name is a prefix and words with underscores")
    if re.search(r"_(ms|us|micros|kib|mib|kb|mb|percent)(_|$)", family.name):
        wrong.append(f"{family.name}: units are seconds and bytes")
    seen = set()
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        if key in seen:
            wrong.append(f"{key}: stands twice")
        seen.add(key)
        if family.type == "counter" and not sample.name.endswith("_total"):
            wrong.append(f"{sample.name}: a counter ends in _total")
        if family.type == "gauge" and sample.name.endswith("_total"):
            wrong.append(f"{sample.name}: a gauge does not end in _total")
        if sample.value < 0:
            wrong.append(f"{sample.name}: {sample.value}")
if "spotter_build_info" not in names or len(families) < 10:
    wrong.append(f"only {sorted(names)}")
if wrong:
    sys.exit("\n".join(wrong))
print(f"{len(families)} families, {sum(len(f.samples) for f in families)} samples")
