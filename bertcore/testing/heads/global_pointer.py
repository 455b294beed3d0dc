"""Spans by a score for each pair of label positions: loops over all pairs, and rotations written out as matrices."""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.heads import GlobalPointer
from bertcore.testing.heads.base import HeadReference, tokens_of
from bertcore.testing.reference import Array, ReferenceModel, binary_divergence

LABELS = ("red", "green", "blue")


@dataclass(frozen=True)
class _Vectors:
    """What the scores of a row are made of, at each of its label positions.

    Attributes:
        query: [types, positions, head size]; of the efficient form the same for each type.
        key: as the query.
        start: [types, positions], added to the scores of spans that begin there.
        end: [types, positions], added to the scores of spans that end there.
    """

    query: Array
    key: Array
    start: Array
    end: Array


class GlobalPointerReference(HeadReference[GlobalPointer]):
    """See :class:`bertcore.heads.GlobalPointer`."""

    head = GlobalPointer
    descriptions = {  # noqa: RUF012
        "global pointer": GlobalPointer(LABELS, head_size=8),
        "efficient global pointer": GlobalPointer(LABELS, efficient=True, head_size=8),
    }

    def batch(  # noqa: D102
        self,
        head: GlobalPointer,
        input_ids: Sequence[Sequence[int]],
        token_type_ids: Sequence[Sequence[int]],
        generator: np.random.Generator,
    ) -> Batch:
        # Every second token, as of tags; of all spans about every tenth, so that many nest and cross.
        positions = [list(range(0 if len(row) < 3 else 1, len(row), 2)) for row in input_ids]
        spans = [
            [(kind, *pair) for kind in range(len(head.labels)) for pair in _pairs(len(row)) if generator.random() < 0.1]
            for row in positions
        ]
        spans[len(spans) // 2] = []
        column = Column(np.array([span for row in spans for span in row], dtype=np.int32).reshape(-1, 3), "span")
        batch = from_rows(input_ids, token_type_ids, {"spans": column}, label_positions=positions)
        return replace(batch, ragged={"span": np.cumsum([0, *map(len, spans)], dtype=np.int64)})

    def outputs(self, head: GlobalPointer, model: ReferenceModel, batch: Batch) -> dict[str, Array]:
        """See :meth:`HeadReference.outputs`."""
        scores = [
            _scores(_vectors(head, model, _last_hidden(model, batch, row)), head.head_size) for row in range(len(batch))
        ]
        losses = [_loss(of_row, _gold(head, batch, row)) for row, of_row in enumerate(scores)]
        return {"logits": np.concatenate(scores), "loss": np.array(losses)}

    def gradients(self, head: GlobalPointer, model: ReferenceModel, batch: Batch) -> dict[str, Array]:
        """See :meth:`HeadReference.gradients`."""
        total = {name: np.zeros(value.shape) for name, value in model.parameters.items()}
        for row in range(len(batch)):
            hidden = _last_hidden(model, batch, row)
            vectors = _vectors(head, model, hidden)
            of_scores = _loss_gradient(_scores(vectors, head.head_size), _gold(head, batch, row))
            of_hidden, of_head = _backward(head, model, hidden, _vectors_gradient(vectors, of_scores, head.head_size))
            tokens = tokens_of(batch, row)
            last_gradient = np.zeros((len(tokens[0]), hidden.shape[1]))
            last_gradient[_positions(batch, row)] = of_hidden
            for name, gradient in {**of_head, **model.encoder_gradients(*tokens, last_gradient)}.items():
                total[name] += gradient
        return total

    def divergence(  # noqa: D102
        self,
        head: GlobalPointer,
        batch: Batch,
        outputs: Mapping[str, Array],
        towards: Mapping[str, Array],
        temperature: float,
    ) -> Array:
        offsets = batch.pair_offsets
        return np.array(
            [
                binary_divergence(outputs["logits"][of_row] / temperature, towards["logits"][of_row] / temperature)
                / len(head.labels)
                for of_row in map(slice, offsets[:-1].tolist(), offsets[1:].tolist())
            ]
        )

    def perfect_outputs(self, head: GlobalPointer, batch: Batch) -> Outputs:  # noqa: D102
        gold = np.concatenate([_gold(head, batch, row) for row in range(len(batch))])
        return {"logits": (20 * gold - 10).astype(np.float32)}

    def assert_labels_fit(self, head: GlobalPointer, batch: Batch) -> None:  # noqa: D102
        assert batch.label_offsets is not None
        column, offsets = batch.columns["spans"], batch.ragged["span"]
        assert column.per == "span"
        assert column.values.shape == (offsets[-1], 3)
        kinds, starts, ends = column.values.T.astype(np.int64)
        assert np.isin(kinds, range(len(head.labels))).all()
        assert np.all((starts >= 0) & (starts <= ends))
        assert np.all(ends < np.repeat(np.diff(batch.label_offsets), np.diff(offsets)))
        rows = np.repeat(np.arange(len(batch)), np.diff(offsets))
        assert len(np.unique(np.column_stack([rows, column.values]), axis=0)) == len(column.values), "a span twice"


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    """Start and end, in the order of the outputs."""
    for start in range(count):
        for end in range(start, count):
            yield start, end


def _positions(batch: Batch, row: int) -> NDArray[np.int32]:
    assert batch.label_offsets is not None
    assert batch.label_positions is not None
    return batch.label_positions[batch.label_offsets[row] : batch.label_offsets[row + 1]]


def _last_hidden(model: ReferenceModel, batch: Batch, row: int) -> Array:
    """The last hidden states at the label positions of a row, [positions, hidden]."""
    return model.hidden_states(*tokens_of(batch, row))[-1][_positions(batch, row)]


def _gold(head: GlobalPointer, batch: Batch, row: int) -> Array:
    """1 where a span is, [pairs, types]."""
    offsets, positions = batch.ragged["span"], _positions(batch, row)
    spans = {tuple(span) for span in batch.columns["spans"].values[offsets[row] : offsets[row + 1]].tolist()}
    kinds = range(len(head.labels))
    gold = [[float((kind, *pair) in spans) for kind in kinds] for pair in _pairs(len(positions))]
    return np.array(gold).reshape(-1, len(head.labels))


def _linear(model: ReferenceModel, name: str, x: Array) -> Array:
    return x @ model.parameters[f"{name}.weight"].T + model.parameters[f"{name}.bias"]


def _vectors(head: GlobalPointer, model: ReferenceModel, hidden: Array) -> _Vectors:
    size, types, count = head.head_size, len(head.labels), len(hidden)
    if not head.efficient:
        # The outputs of the layer: query and key of the first type, then of the second, ...
        by_type = _linear(model, "global_pointer.dense", hidden).reshape(count, types, 2, size).transpose(1, 2, 0, 3)
        none = np.zeros((types, count))
        return _Vectors(by_type[:, 0], by_type[:, 1], none, none)
    shared = _linear(model, "global_pointer.p_dense", hidden)
    biases = _linear(model, "global_pointer.q_dense", shared).reshape(count, types, 2).transpose(1, 2, 0) / 2
    query, key = (np.repeat(part[None], types, axis=0) for part in (shared[:, :size], shared[:, size:]))
    return _Vectors(query, key, biases[:, 0], biases[:, 1])


def _rotation(distance: int, size: int) -> Array:
    """The matrix that turns each pair of neighbouring values; [size, size] of 2 x 2 blocks."""
    matrix = np.zeros((size, size))
    for index in range(size // 2):
        angle = distance * 10000 ** (-2 * index / size)
        block = slice(2 * index, 2 * index + 2)
        matrix[block, block] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    return matrix


def _scores(vectors: _Vectors, size: int) -> Array:
    """[pairs, types]. (R^m q) . (R^n k) = q . R^(n - m) k."""
    types, count, _ = vectors.query.shape
    scores = np.zeros((count * (count + 1) // 2, types))
    for index, (start, end) in enumerate(_pairs(count)):
        turned = _rotation(end - start, size)
        for kind in range(types):
            product = vectors.query[kind, start] @ turned @ vectors.key[kind, end] / math.sqrt(size)
            scores[index, kind] = product + vectors.start[kind, start] + vectors.end[kind, end]
    return scores


def _vectors_gradient(vectors: _Vectors, of_scores: Array, size: int) -> _Vectors:
    found = _Vectors(*(np.zeros(part.shape) for part in vars(vectors).values()))
    types, count, _ = vectors.query.shape
    for index, (start, end) in enumerate(_pairs(count)):
        turned = _rotation(end - start, size) / math.sqrt(size)
        for kind in range(types):
            gradient = of_scores[index, kind]
            found.query[kind, start] += gradient * (turned @ vectors.key[kind, end])
            found.key[kind, end] += gradient * (vectors.query[kind, start] @ turned)
            found.start[kind, start] += gradient
            found.end[kind, end] += gradient
    return found


def _backward(
    head: GlobalPointer, model: ReferenceModel, hidden: Array, of_vectors: _Vectors
) -> tuple[Array, dict[str, Array]]:
    """The gradients with respect to the hidden states, and to the head's own parameters."""
    result: dict[str, Array] = {}

    def linear_gradient(name: str, x: Array, gradient: Array) -> Array:
        result[f"{name}.weight"], result[f"{name}.bias"] = gradient.T @ x, gradient.sum(axis=0)
        return gradient @ model.parameters[f"{name}.weight"]

    if not head.efficient:
        by_type = np.stack([of_vectors.query, of_vectors.key], axis=1)  # [types, 2, positions, size]
        of_layer = by_type.transpose(2, 0, 1, 3).reshape(len(hidden), -1)
        return linear_gradient("global_pointer.dense", hidden, of_layer), result
    shared = _linear(model, "global_pointer.p_dense", hidden)
    biases = np.stack([of_vectors.start, of_vectors.end], axis=1).transpose(2, 0, 1).reshape(len(hidden), -1) / 2
    of_shared = np.concatenate([of_vectors.query.sum(axis=0), of_vectors.key.sum(axis=0)], axis=1)
    of_shared = of_shared + linear_gradient("global_pointer.q_dense", shared, biases)
    return linear_gradient("global_pointer.p_dense", hidden, of_shared), result


def _loss(scores: Array, gold: Array) -> float:
    """``log(1 + sum of e^-s over spans) + log(1 + sum of e^s over the others)``, the mean over the types."""
    of_types = [
        math.log1p(sum(math.exp(-s) for s, y in zip(scores[:, kind], gold[:, kind], strict=True) if y))
        + math.log1p(sum(math.exp(s) for s, y in zip(scores[:, kind], gold[:, kind], strict=True) if not y))
        for kind in range(scores.shape[1])
    ]
    return sum(of_types) / len(of_types)


def _loss_gradient(scores: Array, gold: Array) -> Array:
    """``-e^-s / (1 + sum of e^-s)`` at a span, and ``e^s / (1 + sum of e^s)`` at any other pair."""
    positive, negative = gold * np.exp(-scores), (1 - gold) * np.exp(scores)
    of_spans, of_others = positive / (1 + positive.sum(axis=0)), negative / (1 + negative.sum(axis=0))
    return (of_others - of_spans) / scores.shape[1]
