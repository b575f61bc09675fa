"""Fits a peer's topic model to a corpus of `spotter bench lda` and hands out its topics as it goes.

    python peers.py PEER FOLDER TOPICS THREADS SEED [ITERATIONS]

The folder has corpus.bin (see corpus.rs). After each part of the fit a line of JSON goes to standard output: seconds and CPU
seconds of the fit so far, passes done, and the file with the topics (float32, TOPICS numbers a word). Then one line is read:
`more` or `stop`. Loading and handing out are not timed.
"""

import json
import os
import resource
import sys
import time

import numpy as np

ALPHA, ETA = 0.1, 0.01


class Clock:
    """Wall and CPU time while it runs; CPU of this process and of children that ended."""

    def __init__(self):
        self.wall = self.cpu = 0.0

    @staticmethod
    def used():
        total = 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            total += usage.ru_utime + usage.ru_stime
        return total

    def __enter__(self):
        self._wall, self._cpu = time.perf_counter(), self.used()

    def __exit__(self, *_):
        self.wall += time.perf_counter() - self._wall
        self.cpu += self.used() - self._cpu


class Corpus:
    def __init__(self, folder):
        self.folder = folder
        raw = np.memmap(os.path.join(folder, "corpus.bin"), dtype=np.uint8, mode="r")
        self.documents, self.words, pairs = (int(n) for n in raw[:24].view("<u8"))
        end = 24 + 8 * (self.documents + 1)
        self.starts = raw[24:end].view("<u8").astype(np.int64)
        self.word = np.asarray(raw[end:end + 4 * pairs].view("<u4"))
        self.count = np.asarray(raw[end + 4 * pairs:end + 8 * pairs].view("<u4"))

    def rows(self):
        for a, b in zip(self.starts[:-1], self.starts[1:]):
            yield self.word[a:b], self.count[a:b]

    def sparse(self):
        from scipy import sparse

        shape = (self.documents, self.words)
        return sparse.csr_matrix((self.count.astype(np.float32), self.word.astype(np.int32), self.starts), shape=shape)


def hand_out(corpus, clock, passes, phi, version):
    """phi: words x topics. False when no more is wanted."""
    path = os.path.join(corpus.folder, f"topics-{os.getpid()}.f32")
    np.ascontiguousarray(phi, dtype="<f4").tofile(path)
    line = {"seconds": clock.wall, "cpu": clock.cpu, "passes": passes, "topics": path, "version": version}
    print(json.dumps(line), flush=True)
    return sys.stdin.readline().strip() == "more"


def tomotopy(corpus, topics, threads, seed, iterations):
    import tomotopy as tp

    model = tp.LDAModel(tw=tp.TermWeight.ONE, k=topics, alpha=ALPHA, eta=ETA, seed=seed)
    names = np.array([str(word) for word in range(corpus.words)], dtype=object)
    for word, count in corpus.rows():
        model.add_doc(np.repeat(names[word], count).tolist())
    model.optim_interval = 0
    model.train(0, workers=threads)
    known = np.array([int(name) for name in model.used_vocabs])
    clock, done = Clock(), 0
    while done < iterations:
        with clock:
            model.train(5, workers=threads)
        done += 5
        phi = np.zeros((corpus.words, topics))
        for topic in range(topics):
            phi[known, topic] = model.get_topic_word_dist(topic)
        if not hand_out(corpus, clock, done, phi, tp.__version__):
            return


def gensim(corpus, topics, threads, seed, iterations):
    import gensim as gs

    class Bags:
        def __len__(self):
            return corpus.documents

        def __iter__(self):
            for word, count in corpus.rows():
                yield list(zip(word.tolist(), count.tolist()))

    clock = Clock()
    with clock:
        model = gs.models.LdaMulticore(
            Bags(), num_topics=topics, id2word={w: str(w) for w in range(corpus.words)}, workers=threads, passes=iterations,
            alpha=[ALPHA] * topics, eta=ETA, chunksize=2000, eval_every=None, random_state=seed, dtype=np.float32)
    hand_out(corpus, clock, iterations, model.get_topics().T, gs.__version__)


def scikit(corpus, topics, threads, seed, iterations):
    import sklearn
    from sklearn.decomposition import LatentDirichletAllocation

    counts = corpus.sparse()
    model = LatentDirichletAllocation(
        topics, doc_topic_prior=ALPHA, topic_word_prior=ETA, learning_method="online", max_iter=iterations, batch_size=2048,
        n_jobs=threads, random_state=seed, total_samples=corpus.documents, evaluate_every=-1)
    clock = Clock()
    with clock:
        model.fit(counts)
    hand_out(corpus, clock, iterations, model.components_.T, sklearn.__version__)


def cpu_of(process):
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spark(corpus, topics, threads, seed, iterations):
    import pyspark
    from pyspark.ml.clustering import LDA
    from pyspark.sql import SparkSession

    text = os.path.join(corpus.folder, "corpus.libsvm")
    with open(text, "w") as file:
        for word, count in corpus.rows():
            file.write("0 " + " ".join(f"{w + 1}:{c}" for w, c in zip(word.tolist(), count.tolist())) + "\n")
    builder = SparkSession.builder.master(f"local[{threads}]")
    settings = {"spark.driver.memory": os.environ.get("SPARK_MEMORY", "4g"), "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1", "spark.sql.shuffle.partitions": "8", "spark.local.dir": corpus.folder}
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    frame = session.read.format("libsvm").option("numFeatures", str(corpus.words)).load(text).repartition(8).cache()
    frame.count()
    lda = LDA(optimizer="em", k=topics, maxIter=iterations, seed=seed, featuresCol="features", docConcentration=[1 + ALPHA],
              topicConcentration=1 + ETA)
    java = session.sparkContext._gateway.proc.pid
    clock, before = Clock(), cpu_of(java)
    with clock:
        model = lda.fit(frame)
    clock.cpu += cpu_of(java) - before
    # Counts; what the EM works with are counts and the offset of the prior, and so ours are handed out.
    hand_out(corpus, clock, iterations, model.topicsMatrix().toArray() + ETA, pyspark.__version__)
    session.stop()


def main():
    peer, folder = sys.argv[1:3]
    topics, threads, seed, iterations = (int(n) for n in sys.argv[3:7])
    {"tomotopy": tomotopy, "gensim": gensim, "scikit-learn": scikit, "pyspark": spark}[peer](
        Corpus(folder), topics, threads, seed, iterations)


if __name__ == "__main__":
    main()
