"""Predicting a split: every example exactly once, streamed from the session into the task's accumulator."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from safetensors.numpy import load, save

from bertcore.contracts.backend import Outputs, Session
from bertcore.contracts.batch import Batch
from bertcore.contracts.evaluation import Accumulator
from bertcore.contracts.ranks import ALONE, Ranks
from bertcore.contracts.training_step import DeviceMemoryError
from bertcore.data.encoder import EncodedSplit
from bertcore.data.plans import plan_prediction
from bertcore.errors import DeviceError, PluginError
from bertcore.progress import about, work


@dataclass(frozen=True)
class PredictionTiming:
    """How long a prediction took.

    Attributes:
        seconds: without compilation.
        compile_seconds: compilation alone.
        examples_per_second: rows, or groups of them, over ``seconds``, 0 for an empty split.
    """

    seconds: float
    compile_seconds: float
    examples_per_second: float


def predict_split(
    session: Session, split: EncodedSplit, accumulator: Accumulator, batch_size: int, ranks: Ranks = ALONE
) -> PredictionTiming:
    """Predicts all rows of a split, the longest first, and hands the outputs to the accumulator.

    Several ranks each predict a part, and all of them get all outputs, in the same order: what is decided by them is
    then decided alike, and nothing else needs to be told.

    Args:
        session: with its parameters loaded.
        split: its rows.
        accumulator: made for its examples.
        batch_size: rows of a forward pass, or groups where rows belong together.
        ranks: that the session was opened with.

    Raises:
        PluginError: the task's encoding lost an example, or the backend returned another number of rows.
        DeviceError: the device has no memory for a batch.
    """
    batch, examples = split.batch, len(split.examples)
    seen = np.zeros(examples, dtype=bool)
    started, compiled = time.perf_counter(), session.compile_seconds
    # The longest rows come first and cost most: the end is foretold by tokens.
    unit = "examples" if batch.unit_count == examples else "rows"
    with about(split.name), work("predicting", batch.unit_count, unit, float(batch.lengths.sum())) as progress:
        for part, outputs in predictions(session, batch, accumulator.want, batch_size, ranks):
            seen[part.example_index] = True
            accumulator.add(part, outputs)
            progress.advance(part.unit_count, float(part.lengths.sum()))
    if not seen.all():
        raise PluginError(
            f"{int((~seen).sum())} of {examples} examples got no prediction, the first is number {int(seen.argmin())}",
            "report this to the authors of the task: its encoding must give every example at least one row",
            code="contract-broken",
        )
    compile_seconds = session.compile_seconds - compiled
    seconds = max(time.perf_counter() - started - compile_seconds, 1e-9)
    return PredictionTiming(seconds, compile_seconds, batch.unit_count / seconds)


def predictions(
    session: Session, batch: Batch, want: Sequence[str], batch_size: int, ranks: Ranks = ALONE
) -> Iterator[tuple[Batch, Outputs]]:
    """Predicts the parts of a plan one after the other; with several ranks as many at once, each by one of them.

    Args:
        session: with its parameters loaded.
        batch: all rows.
        want: names of outputs.
        batch_size: rows of a forward pass, or groups where rows belong together.
        ranks: that the session was opened with.

    Yields:
        Each part with its outputs, in the same order on every rank.

    Raises:
        PluginError: the backend gave no such output.
        DeviceError: the device has no memory for a batch.
    """
    plan = plan_prediction(batch.unit_lengths, batch_size)
    for first in range(0, len(plan), ranks.size):
        parts = [batch.select_units(units) for units in plan[first : first + ranks.size]]
        own: Outputs = {}
        if ranks.rank < len(parts):
            own = predict_batch(session, parts[ranks.rank], want)
        received = [own] if ranks.is_alone else [load(content) for content in session.exchange(_packed(own))]
        for part, outputs in zip(parts, received, strict=False):
            for name in want:
                if name not in outputs:
                    raise PluginError(
                        f"the backend gave no output {name!r}",
                        "report this to the authors of the backend",
                        code="contract-broken",
                    )
            yield part, outputs


def _packed(outputs: Outputs) -> bytes:
    # safetensors writes the memory of an array as it lies there, whatever its strides say.
    return save({name: np.ascontiguousarray(values) for name, values in outputs.items()})


def predict_batch(session: Session, batch: Batch, want: Sequence[str]) -> Outputs:
    """Predicts one batch.

    Raises:
        DeviceError: the device has no memory for it.
    """
    try:
        return session.predict(batch, want)
    except DeviceMemoryError as error:
        rows, longest = batch.unit_count, int(batch.lengths.max(initial=0))
        size = f"--set evaluate.batch_size={rows // 2}, " if rows > 1 else ""
        raise DeviceError(
            f"no memory to predict {rows} rows of up to {longest} tokens: {error}",
            f"{size}a smaller data.max_length, or evaluate.precision=bf16; the predictions of fewer rows are the same",
            code="out-of-memory",
        ) from None
