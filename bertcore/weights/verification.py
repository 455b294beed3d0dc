"""Proves a conversion by numbers: the model is computed from both files, each by its own program's semantics.

Nothing here knows the rules of conversion. A converter hands over the tensors as they lie in its file and what the
program that the file is for takes each of them for (:class:`bertcore.contracts.converter.ModelParts`); the equations
of BERT (Devlin et al. 2019, arXiv 1810.04805) are computed from them in float64, with numpy. A matrix that the rules
turned the wrong way, or a query in the place of a key, changes the numbers, even where every shape fits.

    source file      -- rules -->  canonical tensors  -- rules -->  destination file
         |                                                               |
    parts(), as its own program reads it                            parts(), as its own program reads it
         |                                                               |
    float64 outputs  ------------ equal to 1e-5 of the largest -------  float64 outputs
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import ModelParts
from bertcore.errors import ModelError, Origin
from bertcore.progress import tracked
from bertcore.tokenization.tokenizer import Tokenizer

Array = NDArray[Any]

TOLERANCE = 1e-5
"""The largest difference, as a part of the larger of 1 and the largest value of the source."""

_TEXTS = (
    ("The keel of the ship was laid in 1911.", "It was launched a year later."),
    ("No weapons were found, officials said on Tuesday.", "They found some."),
    ("她在北京大学学习了四年。", "她是学生。"),
    ("海钓比赛地点在厦门与金门之间的海域。", "The quick brown fox jumps over the lazy dog!"),
)
_LONGEST_ROW = 32
_SHORTEST_ROW = 8
_RANDOM_ROWS = (3, 7, 12)
"""Where there is no tokenizer: lengths of rows of ids that look random and are always the same."""

_OPTIONAL = ("embedding_projection", "pooler", "classifier", "classifier_dense", "classifier_out", "spans")
_CRF = ("transitions", "start", "end")


@dataclass(frozen=True)
class Difference:
    """How far one kind of output differs.

    Attributes:
        output: ``hidden states``, ``pooled output``, ``logits``, ``start and end logits`` or ``score of tags``.
        largest: the largest difference of two values.
        reference: the largest value of the source.
    """

    output: str
    largest: float
    reference: float

    @property
    def limit(self) -> float:
        """What the largest difference may be."""
        return TOLERANCE * max(1.0, self.reference)

    @property
    def is_within(self) -> bool:
        """Whether it is small enough; no number at all is not."""
        return self.largest <= self.limit


@dataclass(frozen=True)
class Verification:
    """What a conversion was proved by.

    Attributes:
        rows: rows of tokens that both sides computed.
        tokens: how many tokens they have together.
        text: what the tokens are: real text, or ids without a tokenizer.
        differences: one for each kind of output.
    """

    rows: int
    tokens: int
    text: str
    differences: tuple[Difference, ...]

    @property
    def summary(self) -> str:
        """One line for people."""
        found = ", ".join(f"{item.output} {item.largest:.1e} (limit {item.limit:.1e})" for item in self.differences)
        return f"verified on {self.rows} rows of {self.text}, {self.tokens} tokens; largest differences: {found}"


def verify(
    source: ModelParts, destination: ModelParts, config: BertConfig | None, folder: Path | None, origin: str
) -> Verification:
    """Computes a model from both files and compares all that it gives.

    Args:
        source: the tensors of the source.
        destination: those of the destination.
        config: sizes and constants; without one, heads of 64 and the constants of BERT.
        folder: where the tokenizer's files may lie.
        origin: both files, for the message.

    Raises:
        ModelError: an output differs by more than :data:`TOLERANCE`, only one side has a part, or the files hold no
            encoder that can be computed.
    """
    expected_model, found_model = _Model(source, config, f"{origin}: source"), _Model(destination, config, origin)
    _compare_parts(expected_model, found_model, origin)
    try:
        rows, text = _rows(expected_model, config, folder)
        outputs = [model.outputs(rows) for model in (expected_model, found_model)]
    except (ValueError, IndexError) as error:
        raise ModelError(
            f"verification failed: the shapes do not fit each other: {error}",
            "check that the layout is the right one: --from NAME",
            origin=Origin(origin),
            code="verification-failed",
        ) from error
    differences = []
    for name, expected in outputs[0].items():
        found = outputs[1][name]
        if found.shape != expected.shape:
            raise ModelError(
                f"verification failed: {name} have the shape {list(found.shape)} instead of {list(expected.shape)}",
                "report this as a defect of the converter",
                origin=Origin(origin),
                code="verification-failed",
            )
        differences.append(Difference(name, float(np.abs(found - expected).max()), float(np.abs(expected).max())))
    result = Verification(len(rows), sum(len(ids) for ids, _ in rows), text, tuple(differences))
    wrong = [item for item in differences if not item.is_within]
    if wrong:
        raise ModelError(
            "verification failed: "
            + ", ".join(f"{item.output} differ by {item.largest:.2g} (limit {item.limit:.1e})" for item in wrong),
            "nothing was written; the source is not what its layout says, or the converter has a defect",
            origin=Origin(origin),
            code="verification-failed",
        )
    return result


def compute(
    parts: ModelParts, config: BertConfig | None, rows: Sequence[tuple[Array, Array]], origin: str = "the model"
) -> dict[str, Array]:
    """All that a model gives, in float64.

    Args:
        parts: the tensors and what they are.
        config: sizes and constants; without one, heads of 64 and the constants of BERT.
        rows: token ids and token types of each row, both ``[tokens]``.
        origin: the file, for messages.

    Returns:
        ``hidden states`` ``[layers + 1, tokens of all rows, hidden]``, and what there is of ``pooled output`` ``[rows,
        hidden]``, ``logits`` (of a linear layer: for every token and then for every pooled row, whichever its head
        reads; of a head of two layers: for every row), ``start and end logits`` and ``score of tags``.

    Raises:
        ModelError: the tensors are incomplete, or no encoder.
    """
    return _Model(parts, config, origin).outputs(rows)


class _Model:
    """BERT with its heads, computed from the tensors of one file."""

    def __init__(self, parts: ModelParts, config: BertConfig | None, origin: str) -> None:
        self.parts = parts
        self.origin = origin
        self.layers = 0
        while self.has("query", self.layers):
            self.layers += 1
        if not self.layers or not self.has("word"):
            raise ModelError(
                "holds no encoder that can be verified",
                "leave --verify out",
                origin=Origin(origin),
                code="verification-impossible",
            )
        hidden = self.tensor("query", 0).shape[0]
        self.heads = config.num_attention_heads if config is not None else (1 if hidden % 64 else hidden // 64)
        self.eps = config.layer_norm_eps if config is not None else 1e-12
        self.activation = _ACTIVATIONS[config.hidden_act if config is not None else "gelu"]
        self.offset = config.position_offset if config is not None else 0
        self.head_activation = _HEAD_ACTIVATIONS[config.head_activation if config is not None else "tanh"]
        if hidden % self.heads:
            raise ModelError(
                f"{hidden} is no multiple of {self.heads} heads",
                "check config.json",
                origin=Origin(origin),
                code="model-config-wrong",
            )

    def has(self, part: str, layer: int = 0) -> bool:
        return self._keys(part, layer) is not None

    def _keys(self, part: str, layer: int) -> tuple[str, ...] | None:
        """The keys of a part: of its matrix, and of its bias if it has one."""
        for choice in self.parts.names.get(part, ()):
            keys = (choice,) if isinstance(choice, str) else choice
            filled = tuple(key.replace("{layer}", str(layer)) for key in keys)
            if filled[0] in self.parts.tensors:
                return filled
        return None

    def tensor(self, part: str, layer: int = 0, which: int = 0) -> Array:
        keys = self._keys(part, layer)
        if keys is None or keys[which] not in self.parts.tensors:
            raise ModelError(
                f"lacks {part.replace('_', ' ')} of layer {layer}",
                "take a file that is complete",
                origin=Origin(self.origin),
                code="weights-incomplete",
            )
        return self.parts.tensors[keys[which]]

    def linear(self, part: str, x: Array, layer: int = 0) -> Array:
        matrix = self.tensor(part, layer).astype(np.float64)
        result: Array = x @ (matrix if part in self.parts.in_out else matrix.T)
        return result + self.tensor(part, layer, 1).astype(np.float64)

    def norm(self, part: str, x: Array, layer: int = 0) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        normalized = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.eps)
        weight, bias = (self.tensor(part, layer, which).astype(np.float64) for which in (0, 1))
        result: Array = normalized * weight + bias
        return result

    def outputs(self, rows: Sequence[tuple[Array, Array]]) -> dict[str, Array]:
        """All that the model gives for some rows of token ids and token types."""
        starts = np.cumsum([0, *(len(ids) for ids, _ in rows)])
        states = [self.embed(rows)]
        for layer in tracked(range(self.layers), "verifying", "layers"):
            states.append(self.layer(layer, states[-1], starts))
        outputs = {"hidden states": np.stack(states)}
        last = states[-1]
        first_tokens = last[starts[:-1]]
        seen = last  # by a head, which reads every token or, with a pooler, its output
        if self.has("pooler"):
            outputs["pooled output"] = np.tanh(self.linear("pooler", first_tokens))
            seen = np.concatenate([last, outputs["pooled output"]])
        if self.has("classifier"):
            outputs["logits"] = self.linear("classifier", seen)
        if self.has("classifier_out"):
            inner = self.head_activation(self.linear("classifier_dense", first_tokens))
            outputs["logits"] = self.linear("classifier_out", inner)
        if self.has("spans"):
            outputs["start and end logits"] = self.linear("spans", last)
        if self.has("transitions"):
            outputs["score of tags"] = self.score_of_tags()
        return outputs

    def embed(self, rows: Sequence[tuple[Array, Array]]) -> Array:
        ids = np.concatenate([ids for ids, _ in rows])
        types = np.concatenate([types for _, types in rows])
        positions = np.concatenate([np.arange(len(ids)) for ids, _ in rows]) + self.offset
        x = self.tensor("word")[ids].astype(np.float64) + self.tensor("position")[positions].astype(np.float64)
        if self.has("token_type"):  # bert4torch has none with segment_vocab_size=0
            table = self.tensor("token_type").astype(np.float64)
            x = x + table[np.minimum(types, len(table) - 1)]
        x = self.norm("embedding_norm", x)
        return self.linear("embedding_projection", x) if self.has("embedding_projection") else x

    def layer(self, layer: int, x: Array, starts: Array) -> Array:
        query, key, value = (self.linear(part, x, layer) for part in ("query", "key", "value"))
        size = query.shape[-1] // self.heads
        context = np.empty_like(query)
        for begin, end in pairwise(starts):
            for head in range(self.heads):
                own = (slice(begin, end), slice(head * size, (head + 1) * size))
                scores = query[own] @ key[own].T / math.sqrt(size)
                weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
                context[own] = weights / weights.sum(axis=-1, keepdims=True) @ value[own]
        x = self.norm("attention_norm", x + self.linear("attention_output", context, layer), layer)
        inner = self.activation(self.linear("intermediate", x, layer))
        return self.norm("output_norm", x + self.linear("output", inner, layer), layer)

    def score_of_tags(self) -> Array:
        """The score of a fixed row of tags in which every tag follows every other, step by step."""
        transitions = self.tensor("transitions").astype(np.float64)
        count = len(transitions)
        tags = [tag for first in range(count) for second in range(count) for tag in (first, second)]
        steps = [transitions[step] * (1 + index % 3) for index, step in enumerate(pairwise(tags))]
        return np.cumsum([self.tensor("start")[tags[0]], *steps, self.tensor("end")[tags[-1]]], dtype=np.float64)


def _compare_parts(source: _Model, result: _Model, origin: str) -> None:
    """Refuses what only one side has, before anything is computed."""
    if source.layers != result.layers:
        raise ModelError(
            f"verification failed: {result.layers} layers instead of {source.layers}",
            "report this as a defect of the converter",
            origin=Origin(origin),
            code="verification-failed",
        )
    for part in (*_OPTIONAL, *_CRF):
        if source.has(part) != result.has(part):
            which = "the result lacks" if source.has(part) else "only the result has"
            raise ModelError(
                f"verification failed: {which} {part.replace('_', ' ')}",
                "choose a layout that has a place for it, or leave --verify out",
                origin=Origin(origin),
                code="verification-failed",
            )


def _rows(model: _Model, config: BertConfig | None, folder: Path | None) -> tuple[list[tuple[Array, Array]], str]:
    """Token ids and types of some rows, and what they are."""
    vocabulary = len(model.tensor("word"))
    longest = min(len(model.tensor("position")) - model.offset, _LONGEST_ROW)
    if longest < 1:
        raise ValueError(f"there is no position {model.offset}")
    types = len(model.tensor("token_type")) if model.has("token_type") else 1
    if folder is not None and longest >= _SHORTEST_ROW:
        try:
            encoded = Tokenizer.load(folder).encode([text for text, _ in _TEXTS], [pair for _, pair in _TEXTS], longest)
        except ModelError:
            encoded = None
        if encoded is not None and max(map(max, encoded.input_ids)) < vocabulary:
            pairs = zip(encoded.input_ids, encoded.token_type_ids, strict=True)
            return [(np.array(ids), np.array(types)) for ids, types in pairs], "English and Chinese text"
    generator = np.random.default_rng(0)
    lengths = [min(length, longest) for length in _RANDOM_ROWS]
    return [
        (generator.integers(0, vocabulary, length), generator.integers(0, types, length)) for length in lengths
    ], "token ids drawn by chance (there is no tokenizer)"


_erf = np.vectorize(math.erf, otypes=[np.float64])  # numpy has none
_ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "gelu": lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
    "gelu_new": lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: np.maximum(x, 0),
}
_HEAD_ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {"tanh": np.tanh, "gelu": _ACTIVATIONS["gelu"]}
