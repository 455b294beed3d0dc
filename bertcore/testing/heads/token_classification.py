"""A tag per label position: softmax cross entropies, or the loss of a conditional random field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.loss_options import LossOptions
from bertcore.contracts.tagging import LegalTransitions
from bertcore.heads import TokenClassification
from bertcore.numerics.crf import reference as crf_reference
from bertcore.testing.heads.base import RowReference, shape_of, tokens_of
from bertcore.testing.reference import (
    Array,
    ReferenceModel,
    softmax_cross_entropy,
    softmax_cross_entropy_gradient,
    softmax_divergence,
)

IGNORED = -100


class TokenClassificationReference(RowReference[TokenClassification]):
    """See :class:`bertcore.heads.TokenClassification`."""

    head = TokenClassification
    descriptions = {  # noqa: RUF012
        "token": TokenClassification(("red", "green", "blue")),
        "focal token": TokenClassification(("red", "green", "blue"), loss=LossOptions(0.2, 1.5, (0.5, 3.0, 1.0))),
        "crf": TokenClassification(("O", "B-X", "I-X"), crf=True, scheme="BIO", forbid="training"),
    }
    kind = "token"

    def batch(  # noqa: D102
        self,
        head: TokenClassification,
        input_ids: Sequence[Sequence[int]],
        token_type_ids: Sequence[Sequence[int]],
        generator: np.random.Generator,
    ) -> Batch:
        # Every second token, but none where [CLS] and [SEP] stand, as far as the row has others.
        positions = [list(range(0 if len(row) < 3 else 1, len(row), 2)) for row in input_ids]
        labels = generator.integers(0, len(head.labels), sum(map(len, positions))).astype(np.int32)
        labels[3] = IGNORED
        columns = {"labels": Column(labels, "label", ignore=IGNORED)}
        return from_rows(input_ids, token_type_ids, columns, label_positions=positions)

    def loss(  # noqa: D102
        self, head: TokenClassification, model: ReferenceModel, batch: Batch, row: int, logits: Array
    ) -> tuple[float, Array]:
        positions, tags = _row_labels(batch, row)
        gradient = np.zeros_like(logits)
        if not head.crf:
            given = (logits[positions], tags, IGNORED, shape_of(head))
            gradient[positions] = softmax_cross_entropy_gradient(*given)
            return softmax_cross_entropy(*given), gradient
        sequence = _sequence(head, model, logits[positions], tags)
        gradient[positions[tags != IGNORED]] = crf_reference.gradients(*sequence).emissions
        return crf_reference.loss(*sequence), gradient

    def gradients(  # noqa: D102
        self, head: TokenClassification, model: ReferenceModel, batch: Batch
    ) -> dict[str, Array]:
        total = super().gradients(head, model, batch)
        if not head.crf:
            return total
        for row in range(len(batch)):
            positions, tags = _row_labels(batch, row)
            logits = model.logits(*tokens_of(batch, row), self.kind)
            found = crf_reference.gradients(*_sequence(head, model, logits[positions], tags))
            total["crf.transitions"] += found.transitions
            total["crf.start_transitions"] += found.start
            total["crf.end_transitions"] += found.end
        return total

    def joined(  # noqa: D102
        self, head: TokenClassification, model: ReferenceModel, batch: Batch, logits: Sequence[Array]
    ) -> dict[str, Array]:
        emissions = [of_row[_row_labels(batch, row)[0]] for row, of_row in enumerate(logits)]
        tags = [_best_tags(head, model, of_row) for of_row in emissions]
        return {"logits": np.concatenate(emissions), "tags": np.concatenate(tags)}

    def divergence(  # noqa: D102
        self,
        head: TokenClassification,
        batch: Batch,
        outputs: Mapping[str, Array],
        towards: Mapping[str, Array],
        temperature: float,
    ) -> Array:
        assert batch.label_offsets is not None
        pairs = zip(outputs["logits"] / temperature, towards["logits"] / temperature, strict=True)
        kept = batch.columns["labels"].values != IGNORED
        of_labels = np.array([softmax_divergence(*pair) for pair in pairs]) * kept
        ranges = zip(batch.label_offsets, batch.label_offsets[1:], strict=False)
        return np.array([of_labels[start:stop].sum() for start, stop in ranges])

    def perfect_outputs(self, head: TokenClassification, batch: Batch) -> Outputs:  # noqa: D102
        labels = batch.columns["labels"].values
        logits = (20 * (labels[:, None] == np.arange(len(head.labels))) - 10).astype(np.float32)
        return {"logits": logits, "tags": labels.astype(np.int32)}

    def assert_labels_fit(self, head: TokenClassification, batch: Batch) -> None:  # noqa: D102
        column = batch.columns["labels"]
        known = list(range(len(head.labels)))
        assert np.isin(column.values, known if column.ignore is None else [*known, column.ignore]).all()
        assert np.issubdtype(column.values.dtype, np.integer)


def _row_labels(batch: Batch, row: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Tokens of a row that carry a label, and the labels."""
    assert batch.label_offsets is not None
    assert batch.label_positions is not None
    chosen = slice(batch.label_offsets[row], batch.label_offsets[row + 1])
    return batch.label_positions[chosen], batch.columns["labels"].values[chosen]


def _sequence(
    head: TokenClassification, model: ReferenceModel, emissions: Array, tags: NDArray[Any]
) -> tuple[Array, NDArray[Any], crf_reference.Scores, LegalTransitions | None]:
    """What the field's loss is a function of; a position whose label is ignored is absent from its sequence."""
    legal = head.legal_transitions() if head.forbid == "training" else None
    return emissions[tags != IGNORED], tags[tags != IGNORED], _crf_scores(model.parameters), legal


def _crf_scores(parameters: Mapping[str, Array]) -> crf_reference.Scores:
    names = ("crf.transitions", "crf.start_transitions", "crf.end_transitions")
    return crf_reference.Scores(*(parameters[name] for name in names))


def _best_tags(head: TokenClassification, model: ReferenceModel, emissions: Array) -> NDArray[np.int32]:
    if not head.crf:
        best: NDArray[np.int32] = emissions.argmax(axis=1).astype(np.int32)
        return best
    legal = None if head.forbid == "never" else head.legal_transitions()
    return crf_reference.viterbi(emissions, _crf_scores(model.parameters), legal)
