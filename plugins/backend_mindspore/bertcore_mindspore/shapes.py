"""The shape budget: which few static shapes a graph is compiled for, and how rows are packed into them.

A compiled graph keeps its buffers for the life of the process, so its shapes are chosen beforehand from the lengths
of the data and never follow from a batch. One shape is a number of bins of one length; a bin holds several short rows
one after the other, or one long row, and attention is blocked between the rows of a bin. So most of what enters a
linear layer is real: RTE's rows, 67 tokens long on average and up to 289, fill more than nine tenths of the positions.

With the shapes (length 16, 2 bins) and (length 32, 1 bin), rows of 10, 28, 6, 12 and 4 tokens become two calls, the
longest row first, and what is short fills what is left:

    call 1    length 32, 1 bin     |<- 28 ---------------------------->|<- 4 ->|
    call 2    length 16, 2 bins    |<- 12 ------------>| free |<- 10 ---------->|<- 6 ->|

``choose_shapes`` draws some micro-batches from the lengths of the data, packs them so for every candidate, and takes
the cheapest. Pure numpy, no framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.backend import Workload
from bertcore.contracts.bert_config import BertConfig

TRAINING_SHAPES = 2
PREDICTION_SHAPES = 2

_LENGTH_STEP = 16
# Rows shorter than this on average do not fill a call; they are rare and only cost another call.
_TOKENS_PER_ROW = 8
# Cost of a call in units of one token of the linear layers, measured with BERT L6 H384 on two cores: the fixed part
# (adding gradients, dispatching) and what a token's attention costs per position that it may look at.
_CALL_COST = 40.0
_ATTENTION_COST = 1 / 1500
# With the fused kernels a token's attention reaches no further than its row, whatever the length of the bin.
_FUSED_CALL_COST = 80.0
_FUSED_ATTENTION_COST = 0.0
# Intermediate activations of all layers of a call, in float32 values (20 MB); the buffers take about ten times as much.
_VALUES_OF_A_CALL = 5_000_000
# The same with the fused kernels, whose graphs keep a fraction of that.
_VALUES_OF_A_FUSED_CALL = 28_000_000
# How many micro-batches are drawn to compare candidates.
_SAMPLES = 12


@dataclass(frozen=True, order=True)
class Shape:
    """One static shape of a compiled graph.

    Attributes:
        length: tokens of a bin; no longer row fits.
        bins: bins of a call.
    """

    length: int
    bins: int

    @property
    def tokens(self) -> int:
        """Positions that enter the linear layers in one call."""
        return self.bins * self.length

    @property
    def rows(self) -> int:
        """Most rows of one call."""
        return max(self.bins, self.tokens // _TOKENS_PER_ROW)

    def cost(self, *, fused: bool) -> float:
        """Estimated cost of a call, in tokens of the linear layers; with the fused kernels or without."""
        call, attention = (_FUSED_CALL_COST, _FUSED_ATTENTION_COST) if fused else (_CALL_COST, _ATTENTION_COST)
        return call + self.tokens * (1.0 + attention * self.length)


@dataclass(frozen=True)
class Placement:
    """The rows of one call of a compiled graph.

    Attributes:
        shape: the static shape.
        rows: int64 ``[n]``, indices of the rows in their batch.
        starts: int64 ``[n]``, position of each row's first token among the ``shape.tokens`` positions.
    """

    shape: Shape
    rows: NDArray[np.int64]
    starts: NDArray[np.int64]


def choose_shapes(
    lengths: NDArray[np.int64],
    batch_size: int,
    max_length: int,
    token_limit: int,
    budget: int,
    *,
    fused: bool = False,
) -> tuple[Shape, ...]:
    """Chooses at most ``budget`` shapes, the shortest first, into which every row fits at the least estimated cost.

    Args:
        lengths: tokens of every row that is expected; may be empty where nothing is known.
        batch_size: rows of a micro-batch.
        max_length: no row is longer.
        token_limit: most positions of one call (a longer row gets a call of its own).
        budget: how many shapes may be compiled.
        fused: whether the fused kernels compute.
    """
    if not len(lengths):
        lengths = np.asarray([min(128, max_length), max_length], dtype=np.int64)
    longest = _round_up(int(lengths.max()), max_length)
    samples = _sample_batches(lengths, batch_size)
    candidates: list[tuple[Shape, ...]] = [(shape,) for shape in _shapes_of_length(longest, token_limit)]
    if budget > 1:
        quantiles = np.quantile(lengths, (0.5, 0.7, 0.8, 0.9, 0.95, 0.99))
        shorter = {_round_up(int(np.ceil(quantile)), max_length) for quantile in quantiles}
        shorter |= {_round_up(2 * length, max_length) for length in shorter}
        candidates += [
            (short, long)
            for length in sorted(shorter)
            if length < longest
            for short in _shapes_of_length(length, token_limit)
            for long in _shapes_of_length(longest, token_limit)
        ]
    return min(candidates, key=lambda shapes: _cost(samples, shapes, fused))


def training_shapes(config: BertConfig, workload: Workload, *, fused: bool) -> tuple[Shape, ...]:
    """The shapes of a session's training; with the fused kernels or without."""
    limit = token_limit(config, training=True, fused=fused)
    lengths, rows = workload.training_lengths, workload.batch_size
    return choose_shapes(lengths, rows, workload.max_length, limit, TRAINING_SHAPES, fused=fused)


def prediction_shapes(config: BertConfig, workload: Workload, *, fused: bool) -> tuple[Shape, ...]:
    """Those of its predictions."""
    limit = token_limit(config, training=False, fused=fused)
    lengths, rows = workload.prediction_lengths, workload.prediction_batch_size
    return choose_shapes(lengths, rows, workload.max_length, limit, PREDICTION_SHAPES, fused=fused)


def token_limit(config: BertConfig, *, training: bool, fused: bool) -> int:
    """Most positions of one call, so that the buffers of its graph stay in bounds.

    Args:
        config: sizes of the encoder.
        training: whether the graph keeps what the backward pass needs.
        fused: whether the fused kernels compute.
    """
    width = config.num_hidden_layers * config.intermediate_size if training else config.intermediate_size
    values, most = (_VALUES_OF_A_FUSED_CALL, 3072) if fused else (_VALUES_OF_A_CALL, 1024)
    return int(np.clip(values // width, 128, most))


def with_room(
    shapes: tuple[Shape, ...], lengths: NDArray[np.int64], max_length: int, groups: NDArray[np.int64] | None = None
) -> tuple[Shape, ...]:
    """The shapes, and where rows are longer or groups larger than all that was declared a further one behind them.

    Args:
        shapes: those that were chosen, the shortest first.
        lengths: tokens of each row.
        max_length: no row is longer.
        groups: of each row; None where each is placed for itself.
    """
    longest = int(lengths.max(initial=0))
    if longest > shapes[-1].length:
        shapes = (*shapes, Shape(max(max_length, shapes[-1].length), 1))
    if groups is None:
        return shapes
    # Each further shape is a graph to compile: there is one for each doubling.
    room = shapes[-1]
    units = _units(lengths, groups)
    while not all(_fits(unit, lengths, room) for unit in units):
        room = Shape(room.length, 2 * room.bins)
    return shapes if room == shapes[-1] else (*shapes, room)


def place(
    lengths: NDArray[np.int64], shapes: Sequence[Shape], groups: NDArray[np.int64] | None = None
) -> list[Placement]:
    """Packs rows into calls of the shapes: first fit, the longest rows first, empty places filled with short rows.

    The rows of a group come into one call, in any of its bins, since their loss is one.

    Args:
        lengths: tokens of each row; each fits into the last shape.
        shapes: the shapes, the shortest first.
        groups: of each row; None where each is placed for itself.

    Raises:
        ValueError: a row is longer than the last shape, or a group does not fit into it.
    """
    calls: list[_Call] = []
    for unit in _units(lengths, groups):
        if not any(call.put(unit, lengths) for call in calls):
            shape = next((shape for shape in shapes if _fits(unit, lengths, shape)), None)
            if shape is None:
                raise ValueError(f"{len(unit)} rows of {lengths[unit]} tokens do not fit into {shapes[-1]}")
            calls.append(_Call(shape))
            calls[-1].put(unit, lengths)
    return [Placement(call.shape, np.asarray(call.rows), np.asarray(call.starts)) for call in calls]


def _units(lengths: NDArray[np.int64], groups: NDArray[np.int64] | None) -> list[list[int]]:
    """What is placed as one, the longest first, and the longest row of each first."""
    order = np.argsort(-lengths, kind="stable").tolist()
    if groups is None:
        return [[row] for row in order]
    units: dict[int, list[int]] = {}
    for row in order:
        units.setdefault(int(groups[row]), []).append(row)
    return sorted(units.values(), key=lambda rows: -int(lengths[rows].sum()))


def _fits(unit: Sequence[int], lengths: NDArray[np.int64], shape: Shape) -> bool:
    return _Call(shape).put(unit, lengths)


class _Call:
    """A call that is being filled."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.used = [0] * shape.bins
        self.rows: list[int] = []
        self.starts: list[int] = []

    def put(self, unit: Sequence[int], lengths: NDArray[np.int64]) -> bool:
        """Takes all rows of a unit, or none."""
        if len(unit) == 1:
            return self._put_row(unit[0], int(lengths[unit[0]]))
        before = list(self.used), len(self.rows)
        if all(self._put_row(row, int(lengths[row])) for row in unit):
            return True
        self.used, count = before
        del self.rows[count:], self.starts[count:]
        return False

    def _put_row(self, row: int, length: int) -> bool:
        if len(self.rows) == self.shape.rows or length > self.shape.length:
            return False
        for index, used in enumerate(self.used):
            if used + length <= self.shape.length:
                self.rows.append(row)
                self.starts.append(index * self.shape.length + used)
                self.used[index] += length
                return True
        return False


def _round_up(length: int, max_length: int) -> int:
    return max(1, min(max_length, -(-length // _LENGTH_STEP) * _LENGTH_STEP))


def _shapes_of_length(length: int, token_limit: int) -> list[Shape]:
    most = max(1, token_limit // length)
    return [Shape(length, bins) for bins in sorted({most, *(max(1, most // part) for part in (2, 3, 4, 8))})]


def _sample_batches(lengths: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    size = max(1, min(batch_size, len(lengths)))
    return [generator.choice(lengths, size, replace=False) for _ in range(_SAMPLES)]


def _cost(samples: list[NDArray[np.int64]], shapes: tuple[Shape, ...], fused: bool) -> float:
    return sum(placement.shape.cost(fused=fused) for lengths in samples for placement in place(lengths, shapes))
