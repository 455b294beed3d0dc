"""The linear-chain conditional random field (Lafferty et al. 2001), defined once for all backends.

A sequence is the label positions of one row whose label is not ignored: an ignored position is absent, and its
neighbours follow one another. With emissions e, transitions A ``[from, to]``, and the scores s and f of beginning and
ending, the tags ``y_1 .. y_n`` have the score

    S(y) = s[y_1] + sum_t e[t, y_t] + sum_t A[y_(t-1), y_t] + f[y_n],

and the loss is ``log sum_(y') exp S(y') - S(y)``, where the sum runs over all tag sequences, or over the legal ones
(:class:`bertcore.contracts.tagging.LegalTransitions`) where the others are forbidden. A sequence without positions
has loss 0.

Three rules keep every loss and gradient finite:

- Where illegal sequences are forbidden and the gold one is illegal, the sum runs over the legal ones and the gold one.
  Such a loss is again the negative logarithm of a probability: with ``d = log sum - S(y)`` over the legal sequences
  alone it is ``log(1 + exp d)``, and its gradient that of d times ``1 / (1 + exp -d)``.
- A score below ``SCORE_FLOOR`` counts as ``SCORE_FLOOR``: minus infinity may stand for a hard constraint.
- Where no sequence is legal, decoding gives the best of those with the fewest illegal steps.

- :mod:`bertcore.numerics.crf.reference` says all this in plain numpy, one sequence at a time: the oracle.
- :mod:`bertcore.numerics.crf.host` computes it on a CPU, by :mod:`bertcore.numerics.crf.compiled` (``crf.cpp`` of the
  distribution ``bertcore-kernels``) where there are compiled kernels, else by :mod:`bertcore.numerics.crf.batched`
  (numpy).
- :mod:`bertcore.numerics.crf.path` says how probable decoded tags are.
- Each backend has a ``crf`` of its own in operators of its framework, for its accelerators.
"""

from __future__ import annotations

SCORE_FLOOR = -1e9
"""No score counts for less; far below what a sequence of real scores adds up to."""
