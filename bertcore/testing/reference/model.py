"""An encoder with the three kinds of logits that BERT's heads are made of (Devlin et al. 2019)."""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bertcore.contracts.bert_config import BertConfig
from bertcore.testing.reference.encoder import ReferenceEncoder
from bertcore.testing.reference.functions import HEAD_ACTIVATIONS, Array

LogitsKind = Literal["sequence", "token", "span"]
_SUMMARY = "sequence_summary.summary"


class ReferenceModel(ReferenceEncoder):
    """The encoder with `classifier` or `qa_outputs` on top; see :class:`ReferenceEncoder` for what it takes.

    `classifier.dense` and `classifier.out_proj` among the parameters make a dense head, which reads the first token's
    last hidden state instead of the pooler (RoBERTa, ELECTRA).

        "sequence"   last hidden state of the first token -> pooler -> classifier -> [labels]
                     or, with a dense head              -> classifier.dense -> activation -> classifier.out_proj
                     or, with a summary                 -> sequence_summary.summary -> activation -> classifier
        "token"      last hidden states -> classifier  -> [tokens, labels]
        "span"       last hidden states -> qa_outputs  -> [tokens, 2], each token's start and end logit

    Raises:
        ValueError: an activation is not known.
    """

    def __init__(self, parameters: Mapping[str, NDArray[Any]], config: BertConfig) -> None:
        super().__init__(parameters, config)
        if config.head_activation not in HEAD_ACTIVATIONS:
            raise ValueError(f"head_activation {config.head_activation!r} is none of {', '.join(HEAD_ACTIVATIONS)}")
        self._head_activation, self._head_activation_gradient = HEAD_ACTIVATIONS[config.head_activation]

    def pooled(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> Array:
        """`tanh(W h + b)` of the first token's last hidden state, [hidden]."""
        return self._pool(self.hidden_states(input_ids, token_type_ids)[-1])[0]

    def logits(self, input_ids: ArrayLike, token_type_ids: ArrayLike, kind: LogitsKind = "sequence") -> Array:
        """The logits of one kind.

        Args:
            input_ids: [tokens], special tokens included.
            token_type_ids: [tokens].
            kind: which.

        Returns:
            [labels] for "sequence", [tokens, labels] for "token", [tokens, 2] for "span".

        Raises:
            ValueError: the kind is unknown.
        """
        return self._logits(self.hidden_states(input_ids, token_type_ids)[-1], kind)

    def gradients(
        self,
        input_ids: ArrayLike,
        token_type_ids: ArrayLike,
        logits_gradient: ArrayLike,
        kind: LogitsKind = "sequence",
    ) -> dict[str, Array]:
        """Gradients of a loss with respect to every parameter, by the chain rule from the logits down.

        Args:
            input_ids: [tokens].
            token_type_ids: [tokens].
            logits_gradient: the loss's gradient with respect to the logits, in their shape.
            kind: which logits.

        Returns:
            By canonical name, in the shape of the parameter: all parameters that these logits depend on. The gradient
            of a batch is the sum of its sequences' gradients.

        Raises:
            ValueError: the kind is unknown, or `logits_gradient` does not have the logits' shape.
        """
        embeddings, traces = self._encode(input_ids, token_type_ids)
        last = traces[-1].output if traces else embeddings
        gradient, expected = np.asarray(logits_gradient, dtype=np.float64), self._logits(last, kind).shape
        if gradient.shape != expected:
            raise ValueError(f"the gradient of the {kind} logits has the shape {gradient.shape}, not {expected}")
        result: dict[str, Array] = {}
        last_gradient = self._logits_gradient(last, kind, gradient, result)
        self._encoder_gradient(input_ids, token_type_ids, traces, last_gradient, result)
        return {name: result[name] for name in self.parameters if name in result}

    @property
    def _has_dense_head(self) -> bool:
        return "classifier.dense.weight" in self.parameters

    def _logits(self, last: Array, kind: LogitsKind) -> Array:
        if kind == "token":
            return self._linear("classifier", last)
        if kind == "span":
            return self._linear("qa_outputs", last)
        if kind != "sequence":
            raise ValueError(f"{kind!r} is none of sequence, token, span")
        if self._has_dense_head:
            dense = self._linear("classifier.dense", last[:1])
            return self._linear("classifier.out_proj", self._head_activation(dense))[0]
        return self._linear("classifier", self._pool(last))[0]

    def _logits_gradient(self, last: Array, kind: LogitsKind, gradient: Array, result: dict[str, Array]) -> Array:
        """The gradient with respect to the last hidden states; those of the head's own parameters go to `result`."""
        if kind != "sequence":
            return self._linear_gradient("classifier" if kind == "token" else "qa_outputs", last, gradient, result)
        last_gradient = np.zeros_like(last)  # only the first token is read
        if self._has_dense_head:
            dense = self._linear("classifier.dense", last[:1])
            activated = self._head_activation(dense)
            activated_gradient = self._linear_gradient("classifier.out_proj", activated, gradient[None, :], result)
            dense_gradient = self._head_activation_gradient(dense, activated_gradient)
            last_gradient[:1] = self._linear_gradient("classifier.dense", last[:1], dense_gradient, result)
            return last_gradient
        pooled = self._pool(last)
        pooled_gradient = self._linear_gradient("classifier", pooled, gradient[None, :], result)
        name, _, activation_gradient = self._pooler
        pooled_gradient = activation_gradient(self._linear(name, last[:1]), pooled_gradient)
        last_gradient[:1] = self._linear_gradient(name, last[:1], pooled_gradient, result)
        return last_gradient

    @property
    def _pooler(self) -> tuple[str, Callable[[Array], Array], Callable[[Array, Array], Array]]:
        """The layer in front of `classifier`: its name, and its activation with the gradient."""
        if f"{_SUMMARY}.weight" in self.parameters:
            return _SUMMARY, self._head_activation, self._head_activation_gradient
        return f"{self.config.prefix}pooler.dense", *HEAD_ACTIVATIONS["tanh"]

    def _pool(self, last: Array) -> Array:
        name, activation, _ = self._pooler
        return activation(self._linear(name, last[:1]))
