"""Predicting with what a run trained: texts that a program or a file holds, again and again, or a split of the data."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.dataset import Split
from bertcore.data.encoder import EncodedSplit
from bertcore.data.tables import Record
from bertcore.engine.given_inputs import Inputs, records_of
from bertcore.engine.prediction_input import named_as_trained
from bertcore.engine.preparation import open_data, reading_notes
from bertcore.engine.trained_model import LoadedModel, TrainedModel
from bertcore.errors import UsageError

Prediction = dict[str, Any]

UNKNOWN_LENGTHS = np.zeros(0, dtype=np.int64)
"""Of rows that are still to come."""


class OpenModel:
    """A trained model that is loaded and predicts as often as it is asked to; :func:`bertcore.open` opens it.

    Several threads may use it at once: their texts are made rows side by side, and computed one call after the other.
    """

    def __init__(self, trained: TrainedModel, loaded: LoadedModel) -> None:
        self._trained = trained
        self._loaded: LoadedModel | None = loaded
        self._lock = threading.Lock()

    def predict(self, inputs: Inputs) -> list[Prediction]:
        """Predicts texts.

        Args:
            inputs: texts, pairs of texts as tuples, or dictionaries, as ``{"sentence1": ..., "sentence2": ...}``; also
                a pandas Series or DataFrame, or a single text.

        Returns:
            One object per input, in the same order, with the prediction and its probabilities, and with
            ``truncated: true`` where something was cut. What has no name of its own is numbered, from 0 in each call.

        Raises:
            BertcoreError: a mistake of the caller, with its cause and remedy; the model is closed, for one.
        """
        return self.predict_records(records_of(inputs, self._trained.input_fields))

    def predict_records(self, records: Iterable[Record]) -> list[Prediction]:
        """Predicts JSON objects as the task reads them, each with where it stands (``in.jsonl:3``).

        ``text`` and ``text_pair`` may stand for what the training file calls its texts.
        """
        self._require_open()
        return self.predict_rows(_encode(self._trained, records))

    def predict_rows(self, rows: EncodedSplit) -> list[Prediction]:
        """Predicts examples that are rows already."""
        trained = self._trained
        accumulator = trained.task.accumulator(rows.examples, trained.source.head(), trained.config.data)
        with self._lock:
            self._require_open().predict(rows, accumulator)
        predictions = accumulator.predictions()
        for index in rows.encoding.truncated.tolist():
            predictions[index]["truncated"] = True
        return predictions

    def close(self) -> None:
        """Frees the device; closing twice does nothing."""
        with self._lock:
            loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.close()

    def __enter__(self) -> OpenModel:
        self._require_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require_open(self) -> LoadedModel:
        if self._loaded is None:
            raise UsageError(
                f"the model {self._trained.source.name} is closed",
                "open it again: bertcore.open(...)",
                code="model-closed",
            )
        return self._loaded


def open_model(trained: TrainedModel, lengths: NDArray[np.int64] = UNKNOWN_LENGTHS) -> OpenModel:
    """Loads a trained model.

    Args:
        trained: the model.
        lengths: int64 ``[rows]``, tokens of the rows to come, where they are known.

    Raises:
        ModelError: it has no fine-tuned head.
        DeviceError: the device cannot be used.
    """
    return OpenModel(trained, trained.load(trained.source.head(), lengths))


def predict(trained: TrainedModel, records: Iterable[Record]) -> list[Prediction]:
    """Predicts records once: the model is loaded for their lengths, and closed again.

    Args:
        trained: the model.
        records: as of :meth:`OpenModel.predict_records`.

    Raises:
        DataError: a field is missing.
        ModelError: the model has no fine-tuned head.
    """
    rows = _encode(trained, records)
    with open_model(trained, rows.batch.lengths) as model:
        return model.predict_rows(rows)


def predict_split(
    trained: TrainedModel, name: str, note: Callable[[str], None] = lambda text: None
) -> list[Prediction]:
    """Predicts a split of the configured data, whether it has labels or not.

    Args:
        trained: the model, with the settings that name the data.
        name: of the split.
        note: told what the user should read.

    Returns:
        One JSON object per example, in the order of the file.

    Raises:
        UsageError: there is no such split, or it is a stream.
        DataError: the data is missing or wrong.
    """
    dataset = open_data(trained.task, trained.config, trained.registry)
    head = trained.head_for(dataset)
    # Labels that a test file happens to have, or dummies in their place, are none of a prediction's business.
    split = dataset.split(name).without_labels()
    for text in (*trained.source.weights.notes, *trained.tokenizer.notes, *reading_notes(dataset, split)):
        note(text)
    rows = trained.encoder(head, note).whole(split, labeled=False)
    truncated = len(rows.encoding.truncated)
    if truncated:
        note(f"{name}: {truncated} of {len(rows.examples)} examples are truncated")
    accumulator = trained.task.accumulator(rows.examples, trained.tuned(head), trained.config.data)
    with closing(trained.load(head, rows.batch.lengths)) as model:
        model.predict(rows, accumulator)
    return accumulator.predictions()


def _encode(trained: TrainedModel, records: Iterable[Record]) -> EncodedSplit:
    data = trained.config.data
    examples = Split(trained.task.parse_input(named_as_trained(records, trained.input_fields), data))
    return EncodedSplit(examples, examples.encode(trained.encoder(trained.source.head())))
