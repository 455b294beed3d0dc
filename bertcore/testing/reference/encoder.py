"""The encoder of BERT and what it is trained by: hidden states, and the gradient of a loss from them down.

Sources:
    Vaswani et al. 2017, "Attention Is All You Need", arXiv 1706.03762 (attention, feed-forward, residuals).
    Devlin et al. 2019, "BERT", arXiv 1810.04805 (embeddings).
"""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bertcore.contracts.bert_config import BertConfig
from bertcore.testing.reference.functions import (
    ACTIVATIONS,
    Array,
    layer_norm,
    layer_norm_gradient,
    softmax,
    softmax_gradient,
)


@dataclass(frozen=True)
class _LayerTrace:
    """What one layer computes on the way, as its gradient needs it: all [tokens, ...] but query, key and value."""

    input: Array
    query: Array  # [heads, tokens, head size], as key and value
    key: Array
    value: Array
    context: Array  # the heads side by side again
    attention_sum: Array  # attention output + residual, before its LayerNorm
    attention_output: Array
    intermediate: Array  # before the activation
    output_sum: Array  # feed-forward output + residual, before its LayerNorm
    output: Array


class ReferenceEncoder:
    """A BERT encoder (Devlin et al. 2019), for one sequence without padding.

    Args:
        parameters: canonical names (those of Hugging Face) to arrays of any float type; they are copied to float64.
            A linear layer's weight is [out, in]. Names that a call does not need may be missing, and others may be
            there. `embeddings_project`, after the prefix, makes an encoder whose embeddings have a width of their own
            (ELECTRA).
        config: sizes, activation, epsilon and what the family says; dropout rates are not read.

    Raises:
        ValueError: the activation is not known.

    The methods raise KeyError with the parameter's name where one is missing, and IndexError for a token id or a
    position beyond its table.
    """

    def __init__(self, parameters: Mapping[str, NDArray[Any]], config: BertConfig) -> None:
        if config.hidden_act not in ACTIVATIONS:
            raise ValueError(f"hidden_act {config.hidden_act!r} is none of {', '.join(ACTIVATIONS)}")
        self.parameters = {name: np.array(value, dtype=np.float64) for name, value in parameters.items()}
        self.config = config
        self._activation, self._activation_gradient = ACTIVATIONS[config.hidden_act]

    def hidden_states(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> list[Array]:
        """The embeddings' output and each layer's, `num_hidden_layers + 1` arrays of [tokens, hidden].

        Args:
            input_ids: [tokens], special tokens included.
            token_type_ids: [tokens], 0 or 1 ("segment A" or "segment B").
        """
        embeddings, traces = self._encode(input_ids, token_type_ids)
        return [embeddings, *(trace.output for trace in traces)]

    def encoder_gradients(
        self, input_ids: ArrayLike, token_type_ids: ArrayLike, last_gradient: Array
    ) -> dict[str, Array]:
        """Gradients of a loss with respect to the encoder's parameters, by the chain rule from the last layer down.

        Args:
            input_ids: [tokens].
            token_type_ids: [tokens].
            last_gradient: the loss's gradient with respect to the last hidden states, [tokens, hidden].

        Returns:
            By canonical name, in the shape of the parameter. The gradient of a batch is the sum of its sequences'.
        """
        result: dict[str, Array] = {}
        _, traces = self._encode(input_ids, token_type_ids)
        self._encoder_gradient(input_ids, token_type_ids, traces, last_gradient, result)
        return result

    def _encoder_gradient(
        self,
        input_ids: ArrayLike,
        token_type_ids: ArrayLike,
        traces: list[_LayerTrace],
        last_gradient: Array,
        result: dict[str, Array],
    ) -> None:
        for index in reversed(range(self.config.num_hidden_layers)):
            last_gradient = self._layer_gradient(index, traces[index], last_gradient, result)
        self._embeddings_gradient(input_ids, token_type_ids, last_gradient, result)

    # Embeddings: LayerNorm(word + position + token type), and a linear layer where they have a width of their own.

    @property
    def _has_projection(self) -> bool:
        return f"{self.config.prefix}embeddings_project.weight" in self.parameters

    def _encode(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> tuple[Array, list[_LayerTrace]]:
        embeddings = self._layer_norm(
            f"{self.config.prefix}embeddings.LayerNorm", self._embed(input_ids, token_type_ids)
        )
        if self._has_projection:
            embeddings = self._linear(f"{self.config.prefix}embeddings_project", embeddings)
        traces: list[_LayerTrace] = []
        for index in range(self.config.num_hidden_layers):
            traces.append(self._layer(index, traces[-1].output if traces else embeddings))
        return embeddings, traces

    def _embed(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> Array:
        rows = self._embedding_rows(input_ids, token_type_ids)
        return np.sum([self.parameters[name][indices] for name, indices in rows.items()], axis=0)

    def _embedding_rows(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> dict[str, NDArray[np.int64]]:
        """Which row of which table each token takes."""
        input_ids = np.asarray(input_ids, dtype=np.int64)
        types = np.asarray(token_type_ids, dtype=np.int64)
        embeddings = f"{self.config.prefix}embeddings"
        return {
            f"{embeddings}.word_embeddings.weight": input_ids,
            f"{embeddings}.position_embeddings.weight": np.arange(len(input_ids)) + self.config.position_offset,
            f"{embeddings}.token_type_embeddings.weight": types if self.config.reads_token_types else 0 * types,
        }

    def _embeddings_gradient(
        self, input_ids: ArrayLike, token_type_ids: ArrayLike, output_gradient: Array, result: dict[str, Array]
    ) -> None:
        embedded, name = self._embed(input_ids, token_type_ids), f"{self.config.prefix}embeddings.LayerNorm"
        if self._has_projection:
            output_gradient = self._linear_gradient(
                f"{self.config.prefix}embeddings_project", self._layer_norm(name, embedded), output_gradient, result
            )
        sum_gradient = self._layer_norm_gradient(name, embedded, output_gradient, result)
        for name, indices in self._embedding_rows(input_ids, token_type_ids).items():
            result[name] = np.zeros_like(self.parameters[name])
            np.add.at(result[name], indices, sum_gradient)  # a row that occurs twice is added twice

    # One encoder layer (Vaswani et al. 2017), with a LayerNorm after each residual:
    #     a = LayerNorm(x + attention(x))
    #     y = LayerNorm(a + W2 activation(W1 a + b1) + b2)
    #     attention(x) = Wo [softmax(Q K^T / sqrt(head size)) V, head by head] + bo

    def _layer(self, index: int, x: Array) -> _LayerTrace:
        layer = f"{self.config.prefix}encoder.layer.{index}"
        query = self._split_heads(self._linear(f"{layer}.attention.self.query", x))
        key = self._split_heads(self._linear(f"{layer}.attention.self.key", x))
        value = self._split_heads(self._linear(f"{layer}.attention.self.value", x))
        context = self._join_heads(softmax(_attention_scores(query, key)) @ value)
        attention_sum = x + self._linear(f"{layer}.attention.output.dense", context)
        attention_output = self._layer_norm(f"{layer}.attention.output.LayerNorm", attention_sum)
        intermediate = self._linear(f"{layer}.intermediate.dense", attention_output)
        output_sum = attention_output + self._linear(f"{layer}.output.dense", self._activation(intermediate))
        output = self._layer_norm(f"{layer}.output.LayerNorm", output_sum)
        return _LayerTrace(
            x, query, key, value, context, attention_sum, attention_output, intermediate, output_sum, output
        )

    def _layer_gradient(
        self, index: int, trace: _LayerTrace, output_gradient: Array, result: dict[str, Array]
    ) -> Array:
        layer = f"{self.config.prefix}encoder.layer.{index}"

        output_sum_gradient = self._layer_norm_gradient(
            f"{layer}.output.LayerNorm", trace.output_sum, output_gradient, result
        )
        activated_gradient = self._linear_gradient(
            f"{layer}.output.dense", self._activation(trace.intermediate), output_sum_gradient, result
        )
        intermediate_gradient = self._activation_gradient(trace.intermediate, activated_gradient)
        attention_output_gradient = output_sum_gradient + self._linear_gradient(
            f"{layer}.intermediate.dense", trace.attention_output, intermediate_gradient, result
        )

        attention_sum_gradient = self._layer_norm_gradient(
            f"{layer}.attention.output.LayerNorm", trace.attention_sum, attention_output_gradient, result
        )
        context_gradient = self._split_heads(
            self._linear_gradient(f"{layer}.attention.output.dense", trace.context, attention_sum_gradient, result)
        )
        scores = _attention_scores(trace.query, trace.key)
        scores_gradient = softmax_gradient(scores, context_gradient @ trace.value.swapaxes(1, 2))
        root = math.sqrt(trace.query.shape[-1])
        projection_gradients = {
            "query": scores_gradient @ trace.key / root,
            "key": scores_gradient.swapaxes(1, 2) @ trace.query / root,
            "value": softmax(scores).swapaxes(1, 2) @ context_gradient,
        }
        input_gradient = attention_sum_gradient
        for name, gradient in projection_gradients.items():
            input_gradient = input_gradient + self._linear_gradient(
                f"{layer}.attention.self.{name}", trace.input, self._join_heads(gradient), result
            )
        return input_gradient

    def _split_heads(self, x: Array) -> Array:
        """[tokens, hidden] to [heads, tokens, head size]: head h has the columns h * head size and on."""
        return x.reshape(len(x), self.config.num_attention_heads, -1).swapaxes(0, 1)

    def _join_heads(self, x: Array) -> Array:
        return x.swapaxes(0, 1).reshape(x.shape[1], -1)

    # A layer's parameters by its name; the gradients are put into `result`.

    def _linear(self, name: str, x: Array) -> Array:
        return x @ self.parameters[f"{name}.weight"].T + self.parameters[f"{name}.bias"]

    def _linear_gradient(self, name: str, x: Array, output_gradient: Array, result: dict[str, Array]) -> Array:
        result[f"{name}.weight"] = output_gradient.T @ x
        result[f"{name}.bias"] = output_gradient.sum(axis=0)
        return output_gradient @ self.parameters[f"{name}.weight"]

    def _layer_norm(self, name: str, x: Array) -> Array:
        weight, bias = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]
        return layer_norm(x, weight, bias, self.config.layer_norm_eps)

    def _layer_norm_gradient(self, name: str, x: Array, output_gradient: Array, result: dict[str, Array]) -> Array:
        x_gradient, result[f"{name}.weight"], result[f"{name}.bias"] = layer_norm_gradient(
            x, self.parameters[f"{name}.weight"], self.config.layer_norm_eps, output_gradient
        )
        return x_gradient


def _attention_scores(query: Array, key: Array) -> Array:
    return query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])
