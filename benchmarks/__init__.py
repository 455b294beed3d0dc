"""What measures bertcore: speed and memory beside its peers, accuracy beside theirs, and what runs cost over time.

No part of any distribution. ``python -m benchmarks.NAME`` from the root of the repository; ``make bench`` runs those
of ``docs/performance.md``, which ``python -m benchmarks.performance`` writes from ``benchmarks/results``.

    harness     rounds in turn, workers over a pipe, what host and versions are, results on disk
    workers     one process each: bertcore and the peers, each in an environment of its own
    results     a JSON line for each case that was measured
"""
