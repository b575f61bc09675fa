#!/usr/bin/env python3
"""How far our batch EM and Spark MLlib's agree on the counts of a day's flows, beside how far Spark agrees with itself.

    perf/eval/spark_agreement.py --spotter target/release/spotter --lake LAKE --date 2026-03-11

Same counts (Spot's words), priors, topics and iterations; seeds differ. A third fit, the same equations in numpy and f64, tells an engine's own way
from chance. Compared is P(word | document) of every (document, word): the perplexity of the
counts, and the overlap of the least likely N. Pairs with one score share the places they stand at: what a tie leaves open counts by its share. Needs
pyspark, a Java, pyarrow and numpy. Topics of a document are those of the EM itself, as in Spot.
"""

import argparse
import collections
import itertools
import os
import statistics
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import spark_lda  # noqa: E402
from lake import Lake  # noqa: E402

# The most rows a run keeps.
MOST = 1_000_000


def ours(lake, date, seed, iterations):
    """Counts and P(word | document), by (document, word)."""
    lake.run("score", "--source", "flow", "--date", date, "--score", "spot", "--optimizer", "em", "--limit", str(MOST), "--members", "0",
             "--seed", str(seed), "--iterations", str(iterations))
    table = lake.score_table("flow", ["src_ip", "src_word", "src_score", "dst_ip", "dst_word", "dst_score"])
    if table.num_rows >= MOST:
        raise RuntimeError(f"the day has more than {MOST - 1} flows: a run does not keep them all")
    counts, scores = collections.Counter(), {}
    for side in ("src", "dst"):
        pairs = table.group_by([f"{side}_ip", f"{side}_word"]).aggregate([(f"{side}_score", "max"), (f"{side}_score", "count")])
        document, word, score, count = (column.to_pylist() for column in pairs.columns)
        for pair, score, count in zip(zip(document, word), score, count):
            counts[pair] += count
            scores[pair] = score
    return counts, scores


def sparks(session, counts, seed, iterations, topics=20):
    """The same by Spark MLlib."""
    from pyspark.ml.clustering import LDA
    from pyspark.ml.linalg import Vectors

    documents, words = ({name: at for at, name in enumerate(sorted({pair[side] for pair in counts}))} for side in (0, 1))
    rows = collections.defaultdict(list)
    for (document, word), count in counts.items():
        rows[documents[document]].append((words[word], float(count)))
    frame = session.createDataFrame([(at, Vectors.sparse(len(words), sorted(row))) for at, row in sorted(rows.items())], ["id", "features"])
    lda = LDA(optimizer="em", k=topics, maxIter=iterations, seed=seed, docConcentration=[1.02], topicConcentration=1.001)
    model = lda.fit(frame.coalesce(1).cache())
    of_topic = model.topicsMatrix().toArray()
    of_topic = of_topic / of_topic.sum(axis=0)
    # Spark's `transform` finds other mixtures than the EM has; those of the EM are behind a private field.
    field = model._java_obj.getClass().getDeclaredField("org$apache$spark$ml$clustering$DistributedLDAModel$$oldDistributedModel")
    field.setAccessible(True)
    of_document = np.full((len(documents), topics), np.nan)
    for pair in field.get(model._java_obj).topicDistributions().collect():
        of_document[pair._1()] = list(pair._2().toArray())
    if np.isnan(of_document).any():
        raise RuntimeError("Spark gave no topics for some documents")
    return {pair: float(of_document[documents[pair[0]]] @ of_topic[words[pair[1]]]) for pair in counts}


def reference(counts, seed, iterations, topics=20, a=0.02, e=0.001):
    """The same by the equations alone: gamma of a pair is (N_wk + e)(N_dk + a) / (N_k + V e), and counts are summed anew."""
    pairs = sorted(counts)
    count = np.array([counts[pair] for pair in pairs], dtype=float)[:, None]
    (documents, document), (words, word) = (np.unique([pair[side] for pair in pairs], return_inverse=True) for side in (0, 1))

    def sums(gamma):
        of = [np.zeros((len(names), topics)) for names in (documents, words)]
        for to, at in zip(of, (document, word)):
            np.add.at(to, at, gamma)
        return of

    gamma = np.random.default_rng(seed).random((len(pairs), topics))
    for _ in range(iterations + 1):
        of_document, of_word = sums(gamma * count / gamma.sum(axis=1, keepdims=True))
        gamma = (of_word[word] + e) * (of_document[document] + a) / (of_word.sum(axis=0) + len(words) * e)
    of_document /= of_document.sum(axis=1, keepdims=True)
    of_word /= of_word.sum(axis=0)
    return dict(zip(pairs, (of_document[document] * of_word[word]).sum(axis=1)))


def perplexity(counts, scores):
    total = sum(counts.values())
    return float(np.exp(-sum(count * np.log(max(scores[pair], 1e-300)) for pair, count in counts.items()) / total))


def least(scores, most):
    """By pair: how much of it stands among the `most` least likely, ties shared."""
    places = sorted(scores, key=scores.get)
    edge = scores[places[min(most, len(places)) - 1]]
    inside = {pair: 1.0 for pair in places if scores[pair] < edge}
    tied = [pair for pair in places if scores[pair] == edge]
    return inside | {pair: (most - len(inside)) / len(tied) for pair in tied}


def overlap(one, other, most):
    """Of two that `least` gave."""
    return sum(min(share, other.get(pair, 0.0)) for pair, share in one.items()) / most


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spotter", default="target/release/spotter")
    parser.add_argument("--lake", required=True, help="a lake with flows; its scores of the day are made anew")
    parser.add_argument("--date", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=50)
    arguments = parser.parse_args()

    lake, seeds = Lake(arguments.spotter, arguments.lake), range(1, arguments.seeds + 1)
    own = []
    for seed in seeds:
        counts, scores = ours(lake, arguments.date, seed, arguments.iterations)
        own.append(scores)
    print(f"{len({document for document, _ in counts})} documents, {len({word for _, word in counts})} words, {len(counts)} pairs, {sum(counts.values())} tokens")
    session = spark_lda.begin()
    spark = [sparks(session, counts, seed, arguments.iterations) for seed in seeds]
    session.stop()
    fits = {"ours": own, "Spark": spark, "numpy": [reference(counts, seed, arguments.iterations) for seed in seeds]}
    for name, runs in fits.items():
        of = [perplexity(counts, scores) for scores in runs]
        print(f"perplexity of the counts, {name}: mean {statistics.mean(of):.2f}, {min(of):.2f} to {max(of):.2f}")
    compared = [(name, name) for name in fits] + list(itertools.combinations(fits, 2))
    for most in (100, 250, 1000, 3000):
        if most > len(counts):
            break
        told, first = [], {name: [least(scores, most) for scores in runs] for name, runs in fits.items()}
        for one, other in compared:
            runs = itertools.combinations(first[one], 2) if one == other else itertools.product(first[one], first[other])
            of = [overlap(a, b, most) for a, b in runs]
            told.append(f"{one} with {'itself' if one == other else other} {statistics.mean(of):.3f} ± {statistics.pstdev(of):.3f}")
        print(f"overlap of the least likely {most}: {', '.join(told)}")


if __name__ == "__main__":
    main()
