"""One of the rows of a group: a softmax cross entropy over their scores, one group after the other."""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.loss_options import LossOptions
from bertcore.heads import MultipleChoice
from bertcore.testing.heads.base import HeadReference, shape_of, tokens_of
from bertcore.testing.reference import (
    Array,
    ReferenceModel,
    Shape,
    softmax_cross_entropy_gradient,
)
from bertcore.testing.reference.functions import softmax

IGNORED = -100
LONGEST_FURTHER = 8


class MultipleChoiceReference(HeadReference[MultipleChoice]):
    """See :class:`bertcore.heads.MultipleChoice`."""

    head = MultipleChoice
    descriptions = {  # noqa: RUF012
        "multiple choice": MultipleChoice(),
        "focal choice": MultipleChoice(loss=LossOptions(0.2, 2.0)),
    }

    def batch(
        self,
        head: MultipleChoice,
        input_ids: Sequence[Sequence[int]],
        token_type_ids: Sequence[Sequence[int]],
        generator: np.random.Generator,
    ) -> Batch:
        """A question for each of the rows, with up to three further choices; the label of one is ignored."""
        ids: list[list[int]] = []
        types: list[list[int]] = []
        groups: list[int] = []
        choices: list[int] = []
        for group, rows in enumerate(zip(input_ids, token_type_ids, strict=True)):
            further = [generator.integers(1, LONGEST_FURTHER, endpoint=True) for _ in range((group + 1) % 4)]
            ids += [list(rows[0]), *(generator.integers(1, 20, length).tolist() for length in further)]
            types += [list(rows[1]), *([0] * int(length) for length in further)]
            groups += [group] * (1 + len(further))
            choices += range(1 + len(further))
        labels = generator.integers(0, np.bincount(groups)).astype(np.int32)
        labels[len(labels) // 2] = IGNORED
        columns = {
            "labels": Column(labels, "group", ignore=IGNORED),
            "choices": Column(np.array(choices, dtype=np.int32), "row"),
        }
        return from_rows(ids, types, columns, groups, groups=groups)

    def outputs(self, head: MultipleChoice, model: ReferenceModel, batch: Batch) -> dict[str, Array]:
        """See :meth:`HeadReference.outputs`; the loss of a group is that of its right choice, and shares of all."""
        logits = np.array([model.logits(*tokens_of(batch, row)) for row in range(len(batch))]).reshape(-1, 1)
        losses = np.zeros(len(batch))
        for rows, label in _questions(batch):
            if label is not None:
                losses[rows] = _parts(logits[rows, 0], label, shape_of(head))
        return {"logits": logits, "loss": losses}

    def gradients(self, head: MultipleChoice, model: ReferenceModel, batch: Batch) -> dict[str, Array]:
        """See :meth:`HeadReference.gradients`."""
        total = {name: np.zeros(value.shape) for name, value in model.parameters.items()}
        logits = self.outputs(head, model, batch)["logits"]
        for rows, label in _questions(batch):
            if label is None:
                continue
            of_scores = softmax_cross_entropy_gradient(logits[rows, 0][None], [label], shape=shape_of(head))[0]
            for row, of_score in zip(rows, of_scores, strict=True):
                for name, gradient in model.gradients(*tokens_of(batch, int(row)), [of_score]).items():
                    total[name] += gradient
        return total

    def divergence(
        self,
        head: MultipleChoice,
        batch: Batch,
        outputs: Mapping[str, Array],
        towards: Mapping[str, Array],
        temperature: float,
    ) -> Array:
        """See :meth:`HeadReference.divergence`: of each row the summand of its choice."""
        parts = np.zeros(len(batch))
        for rows, label in _questions(batch):
            if label is not None:
                p, q = (softmax(one["logits"][rows, 0] / temperature) for one in (outputs, towards))
                parts[rows] = q * np.log(q / p)
        return parts

    def perfect_outputs(self, head: MultipleChoice, batch: Batch) -> Outputs:  # noqa: D102
        logits = np.full((len(batch), 1), -10, dtype=np.float32)
        for rows, label in _questions(batch):
            if label is not None:
                logits[rows[label]] = 10
        return {"logits": logits}

    def assert_labels_fit(self, head: MultipleChoice, batch: Batch) -> None:  # noqa: D102
        labels, choices = batch.columns["labels"], batch.columns["choices"]
        assert (labels.per, choices.per) == ("group", "row")
        assert np.issubdtype(labels.values.dtype, np.integer)
        assert head.find_problem(batch) is None
        assert batch.groups is not None
        for group in range(len(labels.values)):
            numbers = choices.values[batch.groups == group]
            assert sorted(numbers.tolist()) == list(range(len(numbers)))


def _parts(scores: Array, label: int, shape: Shape) -> Array:
    """What each choice adds to the loss of its question."""
    p, count = softmax(scores), len(scores)
    targets = [(1 - shape.smoothing) * (number == label) + shape.smoothing / count for number in range(count)]
    return -np.array(targets) * (1 - p) ** shape.gamma * np.log(p)


def _questions(batch: Batch) -> Iterator[tuple[NDArray[np.int64], int | None]]:
    """Of each group its rows in the order of the choices, and the right one; None where that is ignored."""
    assert batch.groups is not None
    column, choices = batch.columns["labels"], batch.columns["choices"].values
    for group, label in enumerate(column.values.tolist()):
        rows = np.flatnonzero(batch.groups == group)
        yield rows[np.argsort(choices[rows])], None if label == column.ignore else label
