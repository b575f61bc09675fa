"""Measures, and the baselines every score must beat."""

import collections
import math

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score


def measures(labels, suspicion):
    """AP, AUC and precision and recall in the first 100, 250 and 1000 rows."""
    labels, suspicion = np.asarray(labels), np.nan_to_num(np.asarray(suspicion, float), nan=-1e300, posinf=1e300, neginf=-1e300)
    order = np.argsort(-suspicion, kind="stable")
    found = {"ap": average_precision_score(labels, suspicion), "auc": roc_auc_score(labels, suspicion)}
    for n in (100, 250, 1000):
        hits = labels[order[:n]].sum()
        found[f"p@{n}"], found[f"r@{n}"] = hits / min(n, len(labels)), hits / max(1, labels.sum())
    return found


def flow_features(rows):
    """Duration, state, port class, both directions, and counts by host."""
    sources = collections.Counter(r["src_ip"] for r in rows)
    targets = collections.Counter(r["dst_ip"] for r in rows)
    pairs = collections.Counter((r["src_ip"], r["dst_ip"]) for r in rows)
    ports = collections.Counter((r["src_ip"], r["dst_port"]) for r in rows)
    states = {state: i for i, state in enumerate(sorted({r.get("conn_state") or "" for r in rows}))}
    log = lambda value: math.log1p(max(0, value or 0))
    return np.array([[
        log((r["last_seen"] - r["first_seen"]) / 1e6), states[r.get("conn_state") or ""], r["proto"],
        0 if r["dst_port"] <= 1024 else 1, log(r["dst_port"]), log(r["src_packets"]), log(r["src_bytes"]), log(r.get("dst_packets")),
        log(r.get("dst_bytes")), log(sources[r["src_ip"]]), log(targets[r["dst_ip"]]), log(pairs[r["src_ip"], r["dst_ip"]]),
        log(ports[r["src_ip"], r["dst_port"]]),
    ] for r in rows])


def hbos(features, bins=20):
    """Histogram-based outlier score (Goldstein and Dengel 2012): −Σ log density of each feature's bin."""
    score = np.zeros(len(features))
    for column in features.T:
        counts, edges = np.histogram(column, bins=bins)
        place = np.clip(np.digitize(column, edges[1:-1]), 0, bins - 1)
        score -= np.log((counts[place] + 1) / len(column))
    return score


def baselines(rows, seed):
    features = flow_features(rows)
    kinds = collections.Counter((r["proto"], r["dst_port"], r.get("conn_state")) for r in rows)
    forest = IsolationForest(n_estimators=100, random_state=seed).fit(features)
    return {
        "rarity by count": [-kinds[r["proto"], r["dst_port"], r.get("conn_state")] for r in rows],
        "HBOS": hbos(features),
        "isolation forest": -forest.score_samples(features),
    }
