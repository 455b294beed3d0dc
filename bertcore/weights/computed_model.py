"""BERT from the tensors of a file, by the semantics of the program that the file is for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import ModelParts
from bertcore.errors import ModelError, Origin
from bertcore.progress import tracked

Array = NDArray[Any]


class ComputedModel:
    """BERT with its heads, in float64, computed from the tensors of one file.

    Args:
        parts: the tensors and what they are.
        config: sizes and constants; without one, heads of 64 and the constants of BERT.
        origin: the file, for messages.

    Raises:
        ModelError: the tensors are incomplete, or no encoder.
    """

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
        """Whether the file has a part, as ``query`` of a layer or ``pooler``."""
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
        """A part's matrix or table, or its bias where ``which`` is 1; raises ModelError where it is missing."""
        keys = self._keys(part, layer)
        if keys is None or keys[which] not in self.parts.tensors:
            raise ModelError(
                f"lacks {part.replace('_', ' ')} of layer {layer}",
                "take a file that is complete",
                origin=Origin(self.origin),
                code="weights-incomplete",
            )
        return self.parts.tensors[keys[which]]

    def _linear(self, part: str, x: Array, layer: int = 0) -> Array:
        matrix = self.tensor(part, layer).astype(np.float64)
        result: Array = x @ (matrix if part in self.parts.in_out else matrix.T)
        return result + self.tensor(part, layer, 1).astype(np.float64)

    def _norm(self, part: str, x: Array, layer: int = 0) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        normalized = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.eps)
        weight, bias = (self.tensor(part, layer, which).astype(np.float64) for which in (0, 1))
        result: Array = normalized * weight + bias
        return result

    def outputs(self, rows: Sequence[tuple[Array, Array]]) -> dict[str, Array]:
        """All that the model gives.

        Args:
            rows: token ids and token types of each row, both ``[tokens]``.

        Returns:
            ``hidden states`` ``[layers + 1, tokens of all rows, hidden]``, and what there is of ``pooled output``
            ``[rows, hidden]``, ``logits`` (of a linear layer: for every token and then for every pooled row, whichever
            its head reads; of a head of two layers, or behind a summary: for every row), ``start and end logits`` and
            ``score of tags``.
        """
        starts = np.cumsum([0, *(len(ids) for ids, _ in rows)])
        states = [self._embed(rows)]
        for layer in tracked(range(self.layers), "verifying", "layers"):
            states.append(self._layer(layer, states[-1], starts))
        outputs = {"hidden states": np.stack(states)}
        last = states[-1]
        first_tokens = last[starts[:-1]]
        seen = last  # by a head, which reads every token or, with a pooler, its output
        if self.has("pooler"):
            outputs["pooled output"] = np.tanh(self._linear("pooler", first_tokens))
            seen = np.concatenate([last, outputs["pooled output"]])
        if self.has("summary"):
            seen = self.head_activation(self._linear("summary", first_tokens))
        if self.has("classifier"):
            outputs["logits"] = self._linear("classifier", seen)
        if self.has("classifier_out"):
            inner = self.head_activation(self._linear("classifier_dense", first_tokens))
            outputs["logits"] = self._linear("classifier_out", inner)
        if self.has("spans"):
            outputs["start and end logits"] = self._linear("spans", last)
        if self.has("transitions"):
            outputs["score of tags"] = self._score_of_tags()
        return outputs

    def _embed(self, rows: Sequence[tuple[Array, Array]]) -> Array:
        ids = np.concatenate([ids for ids, _ in rows])
        types = np.concatenate([types for _, types in rows])
        positions = np.concatenate([np.arange(len(ids)) for ids, _ in rows]) + self.offset
        x = self.tensor("word")[ids].astype(np.float64) + self.tensor("position")[positions].astype(np.float64)
        if self.has("token_type"):  # bert4torch has none with segment_vocab_size=0
            table = self.tensor("token_type").astype(np.float64)
            x = x + table[np.minimum(types, len(table) - 1)]
        x = self._norm("embedding_norm", x)
        return self._linear("embedding_projection", x) if self.has("embedding_projection") else x

    def _layer(self, layer: int, x: Array, starts: Array) -> Array:
        query, key, value = (self._linear(part, x, layer) for part in ("query", "key", "value"))
        size = query.shape[-1] // self.heads
        context = np.empty_like(query)
        for begin, end in pairwise(starts):
            for head in range(self.heads):
                own = (slice(begin, end), slice(head * size, (head + 1) * size))
                scores = query[own] @ key[own].T / math.sqrt(size)
                weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
                context[own] = weights / weights.sum(axis=-1, keepdims=True) @ value[own]
        x = self._norm("attention_norm", x + self._linear("attention_output", context, layer), layer)
        inner = self.activation(self._linear("intermediate", x, layer))
        return self._norm("output_norm", x + self._linear("output", inner, layer), layer)

    def _score_of_tags(self) -> Array:
        """The score of a fixed row of tags in which every tag follows every other, step by step."""
        transitions = self.tensor("transitions").astype(np.float64)
        count = len(transitions)
        tags = [tag for first in range(count) for second in range(count) for tag in (first, second)]
        steps = [transitions[step] * (1 + index % 3) for index, step in enumerate(pairwise(tags))]
        return np.cumsum([self.tensor("start")[tags[0]], *steps, self.tensor("end")[tags[-1]]], dtype=np.float64)


_erf = np.vectorize(math.erf, otypes=[np.float64])  # numpy has none
_ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "gelu": lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
    "gelu_new": lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: np.maximum(x, 0),
}
_HEAD_ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {"tanh": np.tanh, "gelu": _ACTIVATIONS["gelu"]}
