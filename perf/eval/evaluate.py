#!/usr/bin/env python3
"""How well attacks are found: one command, one table, with spread.

    perf/eval/evaluate.py --spotter target/release/spotter --shared ../shared/data/labelled --seeds 10

Needs pyarrow, numpy and scikit-learn. Writes the table to standard output and every figure as JSON Lines to --out.
Synthetic days need no data; the labelled sets are read from --shared where it is given.
"""

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import measures as m  # noqa: E402
import published  # noqa: E402
import sets  # noqa: E402
import spark_lda  # noqa: E402
from lake import Lake  # noqa: E402

SOURCES = ("flow", "dns", "proxy")
KEEP = ["--limit", "100000", "--members", "2000"]


def strength(row):
    return row["detectors"][0]["strength"] if row["detectors"] else -9.0


def group_places(rows, by):
    """Place of every group by its best row."""
    best = {}
    for row in rows:
        best[row["group_id"]] = min(best.get(row["group_id"], 1 << 60), row[by])
    return {group: place for place, (_, group) in enumerate(sorted((value, group) for group, value in best.items()), 1)}


def takes(selector, row, source):
    client, server, port, name = {"flow": ("src_ip", "dst_ip", "dst_port", None), "dns": ("client_ip", "server_ip", "server_port", "qname"),
                                  "proxy": ("client_ip", "server_ip", "server_port", "host")}[source]
    under = lambda text, zone: text == zone or (text or "").endswith("." + zone)
    return (selector.get("table") == source
            and (not selector.get("client") or row[client] in selector["client"])
            and (not selector.get("server") or row[server] in selector["server"])
            and (not selector.get("server_port") or row[port] in selector["server_port"])
            and (selector.get("proto") is None or row.get("proto") == selector["proto"])
            and (not selector.get("name_under") or any(under(row[name], zone) for zone in selector["name_under"]))
            and (selector.get("user_agent") is None or row.get("user_agent") == selector["user_agent"]))


def made(arguments, seed, intensity, attacks="all"):
    """A synthetic day's lake and labels, made if it is not there."""
    folder = f"{arguments.lakes}/{attacks}-{intensity}-{seed}"
    lake = Lake(arguments.spotter, folder)
    if not os.path.exists(f"{folder}/demo/labels.jsonl"):
        os.makedirs(arguments.lakes, exist_ok=True)
        if arguments.day:
            # `cargo build -p perf --example day`: the same records without the way over a capture.
            subprocess.run([arguments.day, folder, str(seed), intensity, attacks], check=True)
        else:
            lake.run("demo", "--no-serve", "--json", "--seed", str(seed), "--intensity", intensity, "--attacks", attacks)
    with open(f"{folder}/demo/labels.jsonl") as file:
        return lake, [json.loads(line) for line in file]


COLUMNS = {"flow": ["src_ip", "dst_ip", "dst_port", "proto"], "dns": ["client_ip", "server_ip", "server_port", "qname"],
           "proxy": ["client_ip", "server_ip", "server_port", "host", "user_agent"]}


def places(lake, source, labels, kind):
    """Place of each incident's best group and what fired there, the order of groups, the strongest evidence of groups of no incident."""
    rows = lake.scores(source, ["group_id", "fused_rank", "rank", "detectors", "first_seen", *COLUMNS[source]])
    order = group_places(rows, "fused_rank" if kind == "fused" else "rank")
    best, guilty, weak = {}, set(), {}
    of_source = [(label, [s for s in label["records"] if s.get("table") == source]) for label in labels]
    of_source = [(label, selectors) for label, selectors in of_source if selectors]
    for row in rows:
        group = row["group_id"]
        weak[group] = max(weak.get(group, (-9.0, "")), (strength(row), row["detectors"][0]["name"] if row["detectors"] else "rank"))
        for label, selectors in of_source:
            if label["first"] <= row["first_seen"] <= label["last"] and any(takes(s, row, source) for s in selectors):
                guilty.add(group)
                place = (order[group], f"{source}: {row['detectors'][0]['name'] if row['detectors'] else 'rank'}")
                best[label["id"]] = min(best.get(label["id"], place), place)
    return best, order, {group: value for group, value in weak.items() if group not in guilty}


def synthetic(arguments, out):
    """Place of each incident's best group, by intensity and seed; false groups a day, on days with attacks and without any."""
    words = arguments.score_args.split()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for intensity in arguments.intensity.split(","):
        by = {kind: collections.defaultdict(list) for kind in ("fused", "spot")}
        detectors = collections.defaultdict(collections.Counter)
        for seed in seeds:
            lake, labels = made(arguments, seed, intensity)
            for kind in by:
                best = {label["id"]: (1 << 60, "-") for label in labels}
                for source in SOURCES:
                    lake.run("score", "--source", source, "--date", "2026-03-11", "--score", kind, *KEEP, *(words if kind == "fused" else []))
                    for label, place in places(lake, source, labels, kind)[0].items():
                        best[label] = min(best[label], place)
                for label, (place, fired) in best.items():
                    by[kind][label].append(place)
                    if kind == "fused":
                        detectors[label][fired] += 1
        days = len(seeds)
        print(f"\n## Synthetic day, intensity {intensity}, {days} seeds from {arguments.first_seed}: place of the best group of each incident in its source's list\n")
        print("| incident | fused: median | worst | in 250 | Spot's score: median | in 250 | what found it |\n|---|---|---|---|---|---|---|")
        found = {kind: 0 for kind in by}
        for label in sorted(by["fused"]):
            ours, spot = by["fused"][label], by["spot"][label]
            hits = [sum(p <= 250 for p in list_) for list_ in (ours, spot)]
            found["fused"] += hits[0]
            found["spot"] += hits[1]
            show = lambda value: "not kept" if value >= 1 << 60 else f"{value:.0f}"
            print(f"| {label} | {show(statistics.median_low(ours))} | {show(max(ours))} | {hits[0]}/{days} | {show(statistics.median_low(spot))} | {hits[1]}/{days} | "
                  f"{', '.join(name for name, _ in detectors[label].most_common(2))} |")
            out.write(json.dumps({"set": f"synthetic {intensity}", "incident": label, "fused": ours, "spot": spot}) + "\n")
        total = sum(len(values) for values in by["fused"].values())
        print(f"\nIncidents in the top 250 groups of a source: fused {found['fused']}/{total}, Spot's score {found['spot']}/{total}.", flush=True)
    false, names = collections.defaultdict(list), collections.Counter()
    for seed in seeds:
        lake, _ = made(arguments, seed, "medium", "none")
        count = collections.Counter({"expected <= 1": 0, "expected <= 0.1": 0, "expected <= 0.01": 0})
        for source in SOURCES:
            lake.run("score", "--source", source, "--date", "2026-03-11", *KEEP, *words)
            _, _, weak = places(lake, source, [], "fused")
            for name, least in (("expected <= 1", 0), ("expected <= 0.1", 1), ("expected <= 0.01", 2)):
                count[name] += sum(1 for strength, _ in weak.values() if strength >= least)
            names.update(f"{source}: {fired}" for strength, fired in weak.values() if strength >= 0)
        for name, value in count.items():
            false[name].append(value)
    print(f"\n## False groups a day, {len(seeds)} synthetic days without attacks, three sources together\n")
    for name, values in false.items():
        print(f"- {name}: mean {statistics.mean(values):.1f}, {min(values)} to {max(values)}")
        out.write(json.dumps({"set": "synthetic, no attacks", "false groups": name, "values": values}) + "\n")
    print("- by what decided, expected <= 1, a day: " + ", ".join(f"{name} {n / len(seeds):.1f}" for name, n in names.most_common(12)))


def columns_of(rows):
    """Every score of a fused run as suspicion by record."""
    value = lambda row, name, worst: worst if row[name] is None else row[name]
    return {
        "fusion": {r["id"]: -r["fused_rank"] for r in rows},
        "P(word | document)": {r["id"]: -r["score"] for r in rows},
        "leave-entry-out": {r["id"]: -value(r, "leo", 1.0) for r in rows},
        "lift": {r["id"]: -value(r, "lift_bits", 0.0) for r in rows},
        "Poisson tail": {r["id"]: -value(r, "tail_log10", 0.0) for r in rows},
        "document frequency": {r["id"]: -r["word_df"] for r in rows},
    }


def table(name, note, results, out):
    print(f"\n## {name}\n\n{note}\n\n| score | AP | AUC | P@100 | P@250 | P@1000 | R@250 | spread of AP |\n|---|---|---|---|---|---|---|---|")
    for score, runs in sorted(results.items(), key=lambda item: -statistics.mean(run["ap"] for run in item[1])):
        mean = lambda key: statistics.mean(run[key] for run in runs)
        spread = max(run["ap"] for run in runs) - min(run["ap"] for run in runs)
        print(f"| {score} | {mean('ap'):.3f} | {mean('auc'):.3f} | {mean('p@100'):.2f} | {mean('p@250'):.2f} | {mean('p@1000'):.2f} | {mean('r@250'):.3f} | {spread:.3f} |")
        out.write(json.dumps({"set": name, "score": score, "runs": runs}) + "\n")


def records(arguments, name, source, rows, note, out):
    """A set whose rows are labelled one by one."""
    results = collections.defaultdict(list)
    labels = [row["label"] for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(arguments.spotter, f"{folder}/lake")
        lake.write(source, rows)
        ids = list(lake.labels)
        for seed in range(1, arguments.model_seeds + 1):
            spot = lake.score(source, "spot", seed)
            scored = {"spot": {r["id"]: -r["score"] for r in spot}, **columns_of(lake.score(source, "fused", seed, arguments.score_args.split()))}
            if source == "flow" and arguments.spark:
                scored["Spark MLlib EM on Spot's words"] = spark_lda.suspicion(spot, seed)
            for score, by_id in scored.items():
                results[score].append(m.measures(labels, [by_id.get(i, -1e300) for i in ids]))
            if source == "flow":
                for score, suspicion in m.baselines(rows, seed).items():
                    results[score].append(m.measures(labels, suspicion))
    table(f"{name}: {len(rows)} records, {sum(labels)} malicious", note, results, out)
    return {score: statistics.mean(run["ap"] for run in runs) for score, runs in results.items()}


def dns_tunnels(arguments, out):
    """Incidents: what counts is the place of a tunnel's groups among all groups."""
    aps, lowest, caught, total, every = collections.defaultdict(list), [], 0, 0, []
    for seed in range(1, arguments.model_seeds + 1):
        rows, facts = sets.tunnels(f"{arguments.shared}/dns_tunnels.csv.gz", seed)
        with tempfile.TemporaryDirectory() as folder:
            lake = Lake(arguments.spotter, f"{folder}/lake")
            lake.write("dns", rows)
            for kind in ("fused", "spot"):
                scored = lake.score("dns", kind, extra=arguments.score_args.split() if kind == "fused" else ())
                place = group_places(scored, "fused_rank" if kind == "fused" else "rank")
                incident = {}
                for row in scored:
                    label = lake.labels[row["id"]]
                    known = incident.setdefault(row["group_id"], set())
                    if label:
                        known.add(label)
                # Average precision over groups in their order; an incident counts once, at its best group, and further groups of it are left out.
                seen, hits, groups, precision = set(), 0, 0, 0.0
                for group in sorted(place, key=place.get):
                    new = incident[group] - seen
                    if incident[group] and not new:
                        continue
                    groups += 1
                    if new:
                        seen |= new
                        hits += 1
                        precision += hits / groups
                        if kind == "fused":
                            for label in new:
                                next(f for f in facts if f["incident"] == label)["place"] = groups
                aps[kind].append(precision / len(facts))
        found = [f for f in facts if f.get("place", 1 << 60) <= 250]
        caught, total = caught + len(found), total + len(facts)
        every += facts
        if found:
            lowest.append(min(found, key=lambda f: f["characters_per_s"]))
        out.write(json.dumps({"set": "dns tunnels", "seed": seed, "ap": {k: v[-1] for k, v in aps.items()}, "incidents": facts}) + "\n")
    print(f"\n## DNS tunnels as incidents: {total} in {arguments.model_seeds} draws\n\nTwo tools (dnscat2, iodine over CNAME), one benign client dealt out to 150: "
          "other tools and the habits of real clients are not in it.\n\n| score | AP over groups, mean | lowest | highest |\n|---|---|---|---|")
    for kind, values in aps.items():
        print(f"| {kind} | {statistics.mean(values):.3f} | {min(values):.3f} | {max(values):.3f} |")
    print("\n| questions of a tunnel | incidents | in the top 250 groups | median place |\n|---|---|---|---|")
    for low, high in ((3, 9), (10, 29), (30, 99), (100, 1000)):
        of = [f for f in every if low <= f["questions"] <= high]
        if of:
            places = sorted(f.get("place", 1 << 60) for f in of)
            middle = places[len(places) // 2]
            print(f"| {low} to {high} | {len(of)} | {sum(p <= 250 for p in places)} | {middle if middle < 1 << 60 else 'not kept'} |")
    print(f"\n{caught} of {total} incidents in the top 250 groups. Lowest rate found: " + ", ".join(
        f"{f['characters_per_s']:.2f} characters/s ({f['questions']} questions)" for f in lowest))


def labelled(arguments, out):
    macro = collections.defaultdict(list)
    for name, (path, note) in sets.FLOW_SETS.items():
        for score, ap in records(arguments, name, "flow", sets.zeek_conn(f"{arguments.shared}/{path}"), note, out).items():
            macro[score].append(ap)
    for name, (path, note) in sets.DNS_SETS.items():
        records(arguments, name, "dns", sets.zeek_dns(f"{arguments.shared}/{path}"), note, out)
    print("\n## Macro average of AP over the flow sets\n\n| score | macro AP |\n|---|---|")
    for score, values in sorted(macro.items(), key=lambda item: -statistics.mean(item[1])):
        print(f"| {score} | {statistics.mean(values):.3f} |")
    dns_tunnels(arguments, out)


def published_sets(arguments, out):
    for given in arguments.published:
        kind, _, path = given.partition("=")
        if kind not in published.READERS or not path:
            raise SystemExit(f"--published {given}: KIND=PATH with KIND one of {', '.join(published.READERS)}")
        reader, note = published.READERS[kind]
        rejected = published.Rejected()
        rows = reader(path, rejected)
        if not rows:
            raise SystemExit(f"--published {given}: no line of it could be read: {dict(rejected.most_common(3))}")
        note += "; its reader is untested on the original"
        if rejected:
            note += f"; {sum(rejected.values())} lines left out: {dict(rejected.most_common(3))}"
        records(arguments, f"{kind}: {os.path.basename(path)}", "flow", rows, note, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spotter", default="target/release/spotter", help="the command to evaluate")
    parser.add_argument("--shared", help="folder of the labelled sets; without it only synthetic days")
    parser.add_argument("--seeds", type=int, default=10, help="synthetic days an intensity; 0 = none")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--intensity", default="medium,low")
    parser.add_argument("--model-seeds", type=int, default=3, help="seeds of the model on labelled sets, and draws of the tunnels")
    parser.add_argument("--score-args", default="", help="arguments for `spotter score` in one string, as \"--words spot\"")
    parser.add_argument("--lakes", help="folder in which synthetic days are kept for the next time; else they are made anew")
    parser.add_argument("--day", help="the example `day` of the package perf: makes days without the way over a capture")
    parser.add_argument("--spark", action="store_true", help="Spark MLlib's LDA on the flow sets, too (pyspark, Java)")
    parser.add_argument("--published", action="append", default=[], metavar="KIND=PATH",
                        help="a public set at hand: ctu13=X.binetflow, unsw-nb15=X.csv, cidds001=X.csv, ugr16=X.csv, lanl=FOLDER; again for each")
    parser.add_argument("--out", default="eval.jsonl")
    arguments = parser.parse_args()
    arguments.spotter = os.path.abspath(arguments.spotter)
    folder = None if arguments.lakes else tempfile.TemporaryDirectory()
    arguments.lakes = arguments.lakes or folder.name
    with open(arguments.out, "w") as out:
        if arguments.seeds:
            synthetic(arguments, out)
        if arguments.shared:
            labelled(arguments, out)
        published_sets(arguments, out)


if __name__ == "__main__":
    main()
