"""A trained model that is kept loaded, for conversations and services."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bertcore.contracts.task import Task
from bertcore.data.tables import Record


class OpenModel:
    """A model that is loaded, and predicts as often as it is asked to.

    Examples without a name of their own are numbered through, from 0.
    """

    def __init__(self, task: Task, predict: Callable[[Iterable[Record]], list[dict[str, Any]]]) -> None:
        self._name = task.identifier_field
        self._predict = predict
        self._count = 0

    def predict(self, records: Iterable[Record]) -> list[dict[str, Any]]:
        """Predicts texts without labels; see :meth:`TrainedModel.predict`."""
        rows = [
            (record if record.get(self._name) not in (None, "") else {**record, self._name: str(number)}, origin)
            for number, (record, origin) in enumerate(records, self._count)
        ]
        self._count += len(rows)
        return self._predict(rows) if rows else []
