"""The baseline nearest to Apache Spot: Spark MLlib's LDA by EM on Spot's words, and its score, the lesser P(word | address) of a flow's two sides."""

import collections
import os


def begin():
    """A Spark session of its own on this machine. Needs pyspark and a Java."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{os.cpu_count()}]")
    for name, value in {"spark.driver.memory": "4g", "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1",
                        "spark.driver.bindAddress": "127.0.0.1", "spark.sql.shuffle.partitions": "8"}.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def suspicion(rows, seed, topics=20, iterations=20):
    """By the id of each row of a `spot` run. The priors are Spot's defaults (1.02, 1.001). Topics of an address are those that
    `transform` finds, which are not the EM's own but of its model. Needs pyspark and a Java."""
    from pyspark.ml.clustering import LDA
    from pyspark.ml.linalg import Vectors

    counts, words = collections.defaultdict(collections.Counter), {}
    for row in rows:
        for host, word in sides(row):
            counts[host][words.setdefault(word, len(words))] += 1
    session = begin()
    hosts = list(counts)
    frame = session.createDataFrame([(at, Vectors.sparse(len(words), sorted(counts[host].items()))) for at, host in enumerate(hosts)], ["id", "features"])
    lda = LDA(optimizer="em", k=topics, maxIter=iterations, seed=seed, docConcentration=[1.02], topicConcentration=1.001)
    model = lda.fit(frame.cache())
    topic_words = model.topicsMatrix().toArray()
    topic_words = topic_words / topic_words.sum(axis=0)
    of_host = {hosts[row["id"]]: row["topicDistribution"].toArray() for row in model.transform(frame).select("id", "topicDistribution").collect()}
    session.stop()
    probability = lambda host, word: float(of_host[host] @ topic_words[words[word]])
    return {row["id"]: -min(probability(host, word) for host, word in sides(row)) for row in rows}


def sides(row):
    return ((row["src_ip"], row["src_word"]), (row["dst_ip"], row["dst_word"]))
