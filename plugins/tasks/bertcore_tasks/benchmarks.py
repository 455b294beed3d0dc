"""The benchmarks that tasks belong to, with the files that their leaderboards ask for."""

from __future__ import annotations

from bertcore.contracts.benchmark import Benchmark

GLUE = Benchmark(
    "GLUE",
    (
        "AX.tsv",
        "CoLA.tsv",
        "MNLI-m.tsv",
        "MNLI-mm.tsv",
        "MRPC.tsv",
        "QNLI.tsv",
        "QQP.tsv",
        "RTE.tsv",
        "SST-2.tsv",
        "STS-B.tsv",
        "WNLI.tsv",
    ),
)
"""gluebenchmark.com: a zip archive of these files, without folders."""

CLUE = Benchmark(
    "CLUE",
    (
        "afqmc_predict.json",
        "c311_predict.json",
        "chid11_predict.json",
        "cluewsc11_predict.json",
        "cmrc2018_predict.json",
        "csl_predict.json",
        "iflytek_predict.json",
        "ocnli_50k_predict.json",
        "tnews11_predict.json",
    ),
)
"""cluebenchmarks.com, version 1.1: its nine tasks, by the notes on submissions in its repository (September 2021).

Files of other tasks, as ``cluener_predict.json``, and of version 1.0 may stand beside them, and tasks may be left out.
"""
