#!/usr/bin/env python3
"""Which features a word should have: every set scored with and without each.

    perf/eval/words.py --spotter target/release/spotter --shared ../shared/data/labelled --lakes /tmp/lakes

For `spot`, the chosen features, the chosen without each, and the chosen with each of the others. Labelled sets: average precision of P(word | document), of lift and of
the fusion. Synthetic days (made once, in --lakes): the mean of ln(place of an incident's best group) by P(word | document) alone and by the fusion; a smaller one is better.
"""

import argparse
import collections
import json
import math
import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import evaluate  # noqa: E402
import measures as m  # noqa: E402
import sets  # noqa: E402
from lake import Lake  # noqa: E402

FEATURES = {
    "flow": "role port proto hour sent got packets back time state scope peer flags service ratio".split(),
    "dns": "class type rcode hour length sub entropy labels clients answers shape ttl transport digits query".split(),
    "proxy": "class method content hour status length entropy clients agent ja4 sent got referer host".split(),
}


def labelled(lake, source, rows, words, seed):
    ids, labels = list(lake.labels), [row["label"] for row in rows]
    alone = {r["id"]: -r["score"] for r in lake.score(source, "spot", seed, words)}
    scored = lake.score(source, "fused", seed, words)
    columns = {"P(w|d)": alone, **{k: v for k, v in evaluate.columns_of(scored).items() if k in ("fusion", "lift")}}
    return {name: m.measures(labels, [by_id.get(i, -1e300) for i in ids])["ap"] for name, by_id in columns.items()}


def synthetic(lake, source, labels, words, optimizer=()):
    """Mean ln of the place of the incidents that have records of the source."""
    out = {}
    for kind in ("spot", "fused"):
        lake.run("score", "--source", source, "--date", "2026-03-11", "--score", kind, "--limit", "100000", "--members", "2000", *words, *optimizer)
        best, _, _ = evaluate.places(lake, source, labels, kind)
        of = [label for label in labels if any(s["table"] == source for s in label["records"])]
        out["P(w|d)" if kind == "spot" else "fusion"] = -statistics.mean(math.log(min(100_000, best.get(label["id"], (100_000,))[0])) for label in of)
    return out


def variants(source, chosen):
    yield "spot", ["--words", "spot"]
    yield "chosen", ["--words", "rich", "--features", ",".join(chosen)]
    for key in FEATURES[source]:
        if key in chosen:
            yield f"without {key}", ["--words", "rich", "--features", ",".join(k for k in chosen if k != key)]
        else:
            yield f"with {key}", ["--words", "rich", "--features", ",".join([*chosen, key])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spotter", default="target/release/spotter")
    parser.add_argument("--shared")
    parser.add_argument("--lakes", required=True, help="folder of synthetic lakes: NAME with demo/labels.jsonl inside, or empty: then they are made")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--source", default="flow,dns,proxy")
    parser.add_argument("--chosen", help="features to begin from, by comma; else the product's own")
    arguments = parser.parse_args()
    for seed in range(1, arguments.seeds + 1):
        for intensity in ("low", "medium"):
            evaluate.made(arguments, seed, intensity)
    for source in arguments.source.split(","):
        readers = []
        if arguments.shared and source == "flow":
            readers = [(name, sets.zeek_conn(f"{arguments.shared}/{path}")) for name, (path, _) in sets.FLOW_SETS.items()]
        lakes = []
        for name, rows in readers:
            lake = Lake(arguments.spotter, f"{arguments.lakes}/set-{name}")
            lake.fill(source, rows)
            lakes.append((name, lake, rows))
        chosen = (arguments.chosen or ",".join(product_features(arguments, source))).split(",")
        print(f"\n## {source}\n")
        table = []
        for name, words in variants(source, [key for key in chosen if key in FEATURES[source]]):
            row = collections.OrderedDict()
            for set_name, lake, rows in lakes:
                for score, ap in labelled(lake, source, rows, words, 1).items():
                    row[f"{set_name} {score}"] = ap
            days = collections.defaultdict(list)
            for seed in range(1, arguments.seeds + 1):
                for intensity in ("low", "medium"):
                    lake, labels = evaluate.made(arguments, seed, intensity)
                    for score, value in synthetic(lake, source, labels, words).items():
                        days[f"days {score}"].append(value)
            row.update({k: statistics.mean(v) for k, v in days.items()})
            if not table:
                print("| words | " + " | ".join(row) + " |\n|" + "---|" * (len(row) + 1))
            table.append(row)
            print(f"| {name} | " + " | ".join(f"{v:.3f}" for v in row.values()) + " |", flush=True)


def product_features(arguments, source):
    """Those of the product: in the card of a run."""
    lake, _ = evaluate.made(arguments, 1, "medium")
    card = json.loads(lake.run("score", "--source", source, "--date", "2026-03-11", "--words", "rich", "--json"))
    return card["features"]


if __name__ == "__main__":
    main()
