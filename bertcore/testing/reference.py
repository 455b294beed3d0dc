"""BERT written down from its equations: the oracle that every backend is compared with.

numpy in float64, one sequence at a time, no padding, no mask, no dropout, no batch: slow and plainly correct. Nothing
here is shared with a backend, and nothing but numpy and the standard library is imported.

A function `NAME_gradient` belongs to the function NAME: it takes NAME's inputs and, unless NAME is itself a loss, the
gradient of the loss with respect to NAME's output, and gives the gradient with respect to NAME's inputs.

Sources:
    Vaswani et al. 2017, "Attention Is All You Need", arXiv 1706.03762 (attention, feed-forward, residuals).
    Devlin et al. 2019, "BERT", arXiv 1810.04805 (embeddings, pooler, heads).
    Ba et al. 2016, "Layer Normalization", arXiv 1607.06450.
    Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", arXiv 1606.08415.
    Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", arXiv 1711.05101 (AdamW).
    Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", arXiv 1211.5063 (clipping).
"""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_erf = np.vectorize(math.erf, otypes=[np.float64])  # numpy has none


# ---------------------------------------------------------------------------------------------------------------------
# Building blocks
# ---------------------------------------------------------------------------------------------------------------------


def gelu(x: Array) -> Array:
    """`x * Phi(x)`, Phi being the distribution function of the standard normal (Hendrycks and Gimpel 2016)."""
    return x * _normal_distribution(x)


def gelu_gradient(x: Array, output_gradient: Array) -> Array:
    """`d(x * Phi(x)) / dx = Phi(x) + x * phi(x)`, phi being the density of the standard normal."""
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return output_gradient * (_normal_distribution(x) + x * density)


def _normal_distribution(x: Array) -> Array:
    return (1 + _erf(x / math.sqrt(2))) / 2


def gelu_tanh(x: Array) -> Array:
    """`x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`, the approximation given in Hendrycks and Gimpel 2016."""
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_tanh_gradient(x: Array, output_gradient: Array) -> Array:
    """Product and chain rule applied to `gelu_tanh`, with `tanh' = 1 - tanh^2`."""
    tanh = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    inner_gradient = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return output_gradient * ((1 + tanh) / 2 + x / 2 * (1 - tanh**2) * inner_gradient)


def relu(x: Array) -> Array:
    """`max(x, 0)`."""
    return np.maximum(x, 0)


def relu_gradient(x: Array, output_gradient: Array) -> Array:
    """1 where `x > 0`, else 0."""
    return output_gradient * (x > 0)


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return np.tanh(x)


def tanh_gradient(x: Array, output_gradient: Array) -> Array:
    """`tanh' = 1 - tanh^2`."""
    return output_gradient * (1 - np.tanh(x) ** 2)


# By the names that `hidden_act` has in a Hugging Face config.json.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "gelu": (gelu, gelu_gradient),
    "gelu_new": (gelu_tanh, gelu_tanh_gradient),
    "relu": (relu, relu_gradient),
}
# Between the two layers of a dense head.
HEAD_ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "tanh": (tanh, tanh_gradient),
    "gelu": (gelu, gelu_gradient),
}


def softmax(scores: Array) -> Array:
    """`exp(s_i) / sum_j exp(s_j)` over the last axis; subtracting the maximum changes only the range."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def softmax_gradient(scores: Array, output_gradient: Array) -> Array:
    """`ds_i = p_i * (dp_i - sum_j dp_j p_j)` with `p = softmax(s)`."""
    probabilities = softmax(scores)
    inner = (output_gradient * probabilities).sum(axis=-1, keepdims=True)
    return probabilities * (output_gradient - inner)


def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    """`weight * (x - mean) / sqrt(variance + eps) + bias` over the last axis (Ba et al. 2016).

    The variance is the mean squared deviation (divided by n, not by n - 1), and `eps` stands inside the root.
    """
    normalized, _ = _normalize(x, eps)
    return normalized * weight + bias


def layer_norm_gradient(x: Array, weight: Array, eps: float, output_gradient: Array) -> tuple[Array, Array, Array]:
    """Gradients of `layer_norm` with respect to x, weight and bias.

    With `n = (x - mean) / deviation` and `dn = dy * weight`:
    `dx = (dn - mean(dn) - n * mean(dn * n)) / deviation`, `dweight = sum(dy * n)`, `dbias = sum(dy)` over all rows.
    """
    normalized, deviation = _normalize(x, eps)
    scaled = output_gradient * weight
    along = (scaled * normalized).mean(axis=-1, keepdims=True)
    x_gradient = (scaled - scaled.mean(axis=-1, keepdims=True) - normalized * along) / deviation
    return x_gradient, (output_gradient * normalized).sum(axis=0), output_gradient.sum(axis=0)


def _normalize(x: Array, eps: float) -> tuple[Array, Array]:
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return centred / deviation, deviation


# ---------------------------------------------------------------------------------------------------------------------
# The model
# ---------------------------------------------------------------------------------------------------------------------

HeadName = Literal["sequence", "token", "span"]


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


class ReferenceModel:
    """A BERT encoder with its heads (Devlin et al. 2019), for one sequence without padding.

    Args:
        parameters: canonical names (those of Hugging Face) to arrays of any float type; they are copied to float64.
            A linear layer's weight is [out, in]. Names that a call does not need may be missing, and others may be
            there. `embeddings_project`, after the prefix, makes an encoder whose embeddings have a width of their own
            (ELECTRA); `classifier.dense` and `classifier.out_proj` make a dense head, which reads the first token's
            last hidden state instead of the pooler (RoBERTa, ELECTRA).
        num_hidden_layers: number of encoder layers.
        num_attention_heads: number of attention heads in each.
        layer_norm_eps: the epsilon inside each LayerNorm's root.
        hidden_act: the activation between the two feed-forward layers, a key of `ACTIVATIONS`.
        prefix: what precedes the encoder's names, as in `bert.embeddings.word_embeddings.weight`.
        position_offset: row of the position table that the first token uses (RoBERTa: 2).
        token_types: whether the given token types count; without them, all tokens are of type 0 (RoBERTa).
        head_activation: the activation between the two layers of a dense head, a key of `HEAD_ACTIVATIONS`.

    Raises:
        ValueError: an activation is not known.

    The methods raise KeyError with the parameter's name where one is missing, and IndexError for a token id or a
    position beyond its table.
    """

    def __init__(
        self,
        parameters: Mapping[str, NDArray[Any]],
        *,
        num_hidden_layers: int,
        num_attention_heads: int,
        layer_norm_eps: float = 1e-12,
        hidden_act: str = "gelu",
        prefix: str = "bert.",
        position_offset: int = 0,
        token_types: bool = True,
        head_activation: str = "tanh",
    ) -> None:
        if hidden_act not in ACTIVATIONS:
            raise ValueError(f"hidden_act {hidden_act!r} is none of {', '.join(ACTIVATIONS)}")
        if head_activation not in HEAD_ACTIVATIONS:
            raise ValueError(f"head_activation {head_activation!r} is none of {', '.join(HEAD_ACTIVATIONS)}")
        self.parameters = {name: np.array(value, dtype=np.float64) for name, value in parameters.items()}
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.layer_norm_eps = layer_norm_eps
        self.prefix = prefix
        self.position_offset = position_offset
        self.token_types = token_types
        self._activation, self._activation_gradient = ACTIVATIONS[hidden_act]
        self._head_activation, self._head_activation_gradient = HEAD_ACTIVATIONS[head_activation]

    def hidden_states(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> list[Array]:
        """The embeddings' output and each layer's, `num_hidden_layers + 1` arrays of [tokens, hidden].

        Args:
            input_ids: [tokens], special tokens included.
            token_type_ids: [tokens], 0 or 1 ("segment A" or "segment B").
        """
        embeddings, traces = self._encode(input_ids, token_type_ids)
        return [embeddings, *(trace.output for trace in traces)]

    def pooled(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> Array:
        """`tanh(W h + b)` of the first token's last hidden state, [hidden] (Devlin et al. 2019)."""
        return self._pool(self.hidden_states(input_ids, token_type_ids)[-1])[0]

    def sequence_logits(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> Array:
        """The linear layer `classifier` on the pooled output, [labels]; one label where it is a regression.

        With a dense head, `classifier.out_proj(activation(classifier.dense(h)))` of the first token's last hidden
        state h.
        """
        last = self.hidden_states(input_ids, token_type_ids)[-1]
        if self._has_dense_head:
            dense = self._linear("classifier.dense", last[:1])
            return self._linear("classifier.out_proj", self._head_activation(dense))[0]
        return self._linear("classifier", self._pool(last))[0]

    def token_logits(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> Array:
        """The linear layer `classifier` on each token's last hidden state, [tokens, labels]."""
        return self._linear("classifier", self.hidden_states(input_ids, token_type_ids)[-1])

    def span_logits(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> tuple[Array, Array]:
        """The two columns of the linear layer `qa_outputs`: each token's start and end logit, [tokens] each."""
        logits = self._linear("qa_outputs", self.hidden_states(input_ids, token_type_ids)[-1])
        return logits[:, 0], logits[:, 1]

    def gradients(
        self,
        input_ids: ArrayLike,
        token_type_ids: ArrayLike,
        logits_gradient: ArrayLike,
        head: HeadName = "sequence",
    ) -> dict[str, Array]:
        """Gradients of a loss with respect to every parameter, by the chain rule from the logits down.

        The gradient of a batch is the sum of its sequences' gradients.

        Args:
            input_ids: [tokens].
            token_type_ids: [tokens].
            logits_gradient: the loss's gradient with respect to the logits: [labels] for the head "sequence",
                [tokens, labels] for "token", [tokens, 2] (start, end) for "span".
            head: which logits.

        Returns:
            By canonical name, in the shape of the parameter: all parameters that these logits depend on.

        Raises:
            ValueError: the head is unknown, or `logits_gradient` does not have the logits' shape.
        """
        if head not in ("sequence", "token", "span"):
            raise ValueError(f"head {head!r} is none of sequence, token, span")
        embeddings, traces = self._encode(input_ids, token_type_ids)
        last = traces[-1].output if traces else embeddings
        classifier = "qa_outputs" if head == "span" else "classifier"
        if head == "sequence" and self._has_dense_head:
            classifier = "classifier.out_proj"
        gradient = np.asarray(logits_gradient, dtype=np.float64)
        labels = self.parameters[f"{classifier}.weight"].shape[0]
        expected = (labels,) if head == "sequence" else (len(last), labels)
        if gradient.shape != expected:
            raise ValueError(f"the gradient of the {head} logits has the shape {gradient.shape}, not {expected}")

        result: dict[str, Array] = {}
        if head == "sequence" and self._has_dense_head:
            dense = self._linear("classifier.dense", last[:1])
            activated_gradient = self._linear_gradient(
                classifier, self._head_activation(dense), gradient[None, :], result
            )
            hidden_gradient = np.zeros_like(last)
            hidden_gradient[:1] = self._linear_gradient(
                "classifier.dense", last[:1], self._head_activation_gradient(dense, activated_gradient), result
            )
        elif head == "sequence":
            pooled = self._pool(last)
            pooled_gradient = self._linear_gradient(classifier, pooled, gradient[None, :], result)
            hidden_gradient = np.zeros_like(last)
            hidden_gradient[:1] = self._linear_gradient(
                f"{self.prefix}pooler.dense", last[:1], pooled_gradient * (1 - pooled**2), result
            )
        else:
            hidden_gradient = self._linear_gradient(classifier, last, gradient, result)
        for index in reversed(range(self.num_hidden_layers)):
            hidden_gradient = self._layer_gradient(index, traces[index], hidden_gradient, result)
        self._embeddings_gradient(input_ids, token_type_ids, hidden_gradient, result)
        return {name: result[name] for name in self.parameters if name in result}

    @property
    def _has_dense_head(self) -> bool:
        return "classifier.dense.weight" in self.parameters

    # Embeddings: LayerNorm(word + position + token type), and a linear layer where they have a width of their own.

    @property
    def _has_projection(self) -> bool:
        return f"{self.prefix}embeddings_project.weight" in self.parameters

    def _encode(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> tuple[Array, list[_LayerTrace]]:
        embeddings = self._layer_norm(f"{self.prefix}embeddings.LayerNorm", self._embed(input_ids, token_type_ids))
        if self._has_projection:
            embeddings = self._linear(f"{self.prefix}embeddings_project", embeddings)
        traces: list[_LayerTrace] = []
        for index in range(self.num_hidden_layers):
            traces.append(self._layer(index, traces[-1].output if traces else embeddings))
        return embeddings, traces

    def _embed(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> Array:
        rows = self._embedding_rows(input_ids, token_type_ids)
        return np.sum([self.parameters[name][indices] for name, indices in rows.items()], axis=0)

    def _embedding_rows(self, input_ids: ArrayLike, token_type_ids: ArrayLike) -> dict[str, NDArray[np.int64]]:
        """Which row of which table each token takes."""
        input_ids = np.asarray(input_ids, dtype=np.int64)
        return {
            f"{self.prefix}embeddings.word_embeddings.weight": input_ids,
            f"{self.prefix}embeddings.position_embeddings.weight": np.arange(len(input_ids)) + self.position_offset,
            f"{self.prefix}embeddings.token_type_embeddings.weight": np.asarray(token_type_ids, dtype=np.int64)
            * self.token_types,
        }

    def _embeddings_gradient(
        self, input_ids: ArrayLike, token_type_ids: ArrayLike, output_gradient: Array, result: dict[str, Array]
    ) -> None:
        embedded, name = self._embed(input_ids, token_type_ids), f"{self.prefix}embeddings.LayerNorm"
        if self._has_projection:
            output_gradient = self._linear_gradient(
                f"{self.prefix}embeddings_project", self._layer_norm(name, embedded), output_gradient, result
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
        layer = f"{self.prefix}encoder.layer.{index}"
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
        layer = f"{self.prefix}encoder.layer.{index}"

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
        return x.reshape(len(x), self.num_attention_heads, -1).swapaxes(0, 1)

    def _join_heads(self, x: Array) -> Array:
        return x.swapaxes(0, 1).reshape(x.shape[1], -1)

    def _pool(self, last_hidden_state: Array) -> Array:
        return np.tanh(self._linear(f"{self.prefix}pooler.dense", last_hidden_state[:1]))

    # A layer's parameters by its name; the gradients are put into `result`.

    def _linear(self, name: str, x: Array) -> Array:
        return x @ self.parameters[f"{name}.weight"].T + self.parameters[f"{name}.bias"]

    def _linear_gradient(self, name: str, x: Array, output_gradient: Array, result: dict[str, Array]) -> Array:
        result[f"{name}.weight"] = output_gradient.T @ x
        result[f"{name}.bias"] = output_gradient.sum(axis=0)
        return output_gradient @ self.parameters[f"{name}.weight"]

    def _layer_norm(self, name: str, x: Array) -> Array:
        weight, bias = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]
        return layer_norm(x, weight, bias, self.layer_norm_eps)

    def _layer_norm_gradient(self, name: str, x: Array, output_gradient: Array, result: dict[str, Array]) -> Array:
        x_gradient, result[f"{name}.weight"], result[f"{name}.bias"] = layer_norm_gradient(
            x, self.parameters[f"{name}.weight"], self.layer_norm_eps, output_gradient
        )
        return x_gradient


def _attention_scores(query: Array, key: Array) -> Array:
    return query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])


# ---------------------------------------------------------------------------------------------------------------------
# Losses: sums, to be divided by whatever is counted
# ---------------------------------------------------------------------------------------------------------------------


def softmax_cross_entropy(logits: ArrayLike, labels: ArrayLike, ignore_value: int = -100) -> float:
    """`-sum_i log softmax(logits_i)[label_i]` over all i whose label is not `ignore_value`.

    Args:
        logits: [..., classes].
        labels: [...], each from 0 to classes - 1, or `ignore_value`.
        ignore_value: marks what has no label.

    Raises:
        ValueError: a label is no class, or the shapes do not fit.
    """
    logits, chosen, kept = _classes(logits, labels, ignore_value)
    highest = logits.max(axis=-1, keepdims=True)
    log_normalizer = highest[..., 0] + np.log(np.exp(logits - highest).sum(axis=-1))
    return float(((log_normalizer - (logits * chosen).sum(axis=-1)) * kept).sum())


def softmax_cross_entropy_gradient(logits: ArrayLike, labels: ArrayLike, ignore_value: int = -100) -> Array:
    """`softmax(logits_i) - one_hot(label_i)`, and 0 where the label is `ignore_value`; shaped like the logits."""
    logits, chosen, kept = _classes(logits, labels, ignore_value)
    return (softmax(logits) - chosen) * kept[..., None]


def _classes(logits: ArrayLike, labels: ArrayLike, ignore_value: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Logits, one-hot labels (0 where ignored) and which are kept."""
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.shape[:-1] != labels.shape:
        raise ValueError(f"logits of shape {logits.shape} do not fit labels of shape {labels.shape}")
    kept = labels != ignore_value
    classes = logits.shape[-1]
    if np.any(kept & ((labels < 0) | (labels >= classes))):
        raise ValueError(f"a label is neither from 0 to {classes - 1} nor {ignore_value}")
    return logits, (labels[..., None] == np.arange(classes)).astype(np.float64), kept


def binary_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    """`-sum [y log s(z) + (1 - y) log(1 - s(z))]` with the logistic function s, `= sum [log(1 + exp(z)) - y z]`.

    Args:
        logits: z, of any shape.
        labels: y, of the same shape, each 0 or 1 or a probability.

    Raises:
        ValueError: the shapes differ.
    """
    logits, labels = _same_shape(logits, labels)
    return float((np.logaddexp(0, logits) - labels * logits).sum())


def binary_cross_entropy_gradient(logits: ArrayLike, labels: ArrayLike) -> Array:
    """`s(z) - y`, shaped like the logits."""
    logits, labels = _same_shape(logits, labels)
    return np.exp(-np.logaddexp(0, -logits)) - labels


def squared_error(predictions: ArrayLike, labels: ArrayLike) -> float:
    """`sum (prediction - label)^2`.

    Args:
        predictions: of any shape.
        labels: of the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    predictions, labels = _same_shape(predictions, labels)
    return float(((predictions - labels) ** 2).sum())


def squared_error_gradient(predictions: ArrayLike, labels: ArrayLike) -> Array:
    """`2 (prediction - label)`, shaped like the predictions."""
    predictions, labels = _same_shape(predictions, labels)
    return 2 * (predictions - labels)


def _same_shape(predictions: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
    """Both in float64: [n, 1] against [n] would broadcast to [n, n] unnoticed."""
    predictions, labels = np.asarray(predictions, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if predictions.shape != labels.shape:
        raise ValueError(f"predictions of shape {predictions.shape} do not fit labels of shape {labels.shape}")
    return predictions, labels


# ---------------------------------------------------------------------------------------------------------------------
# The update
# ---------------------------------------------------------------------------------------------------------------------


def adamw_update(
    parameter: Array,
    gradient: Array,
    first_moment: Array,
    second_moment: Array,
    step: int,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[Array, Array, Array]:
    """One step of AdamW (Loshchilov and Hutter 2019), as in torch.optim.AdamW.

    With the gradient g, `m' = b1 m + (1 - b1) g` and `v' = b2 v + (1 - b2) g^2`, the parameter becomes
    `p (1 - lr decay) - lr * (m' / (1 - b1^step)) / (sqrt(v' / (1 - b2^step)) + eps)`:
    the decay is scaled by the learning rate and does not pass through the moments.

    Args:
        parameter: of any shape.
        gradient: of the same shape, as the two moments.
        first_moment: m, 0 before the first step.
        second_moment: v, 0 before the first step.
        step: this step's number, 1 for the first.
        learning_rate: of this step.
        betas: b1 and b2.
        eps: added to the root.
        weight_decay: a fraction per step and learning rate; 0 for biases and LayerNorm, by BERT's custom.

    Returns:
        The new parameter, first and second moment; the arguments are left as they are.
    """
    first_moment = betas[0] * first_moment + (1 - betas[0]) * gradient
    second_moment = betas[1] * second_moment + (1 - betas[1]) * gradient**2
    unbiased_first = first_moment / (1 - betas[0] ** step)
    unbiased_second = second_moment / (1 - betas[1] ** step)
    decayed = parameter * (1 - learning_rate * weight_decay)
    updated = decayed - learning_rate * unbiased_first / (np.sqrt(unbiased_second) + eps)
    return updated, first_moment, second_moment


def clip_by_global_norm(gradients: Mapping[str, Array], max_norm: float) -> tuple[dict[str, Array], float]:
    """All gradients times `min(1, max_norm / (norm + 1e-6))`, as torch.nn.utils.clip_grad_norm_ does.

    Args:
        gradients: by name.
        max_norm: the largest norm allowed.

    Returns:
        The clipped gradients and the norm before clipping: the root of the sum of all squares of all gradients.
    """
    norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients.values()))
    coefficient = min(1.0, max_norm / (norm + 1e-6))
    return {name: gradient * coefficient for name, gradient in gradients.items()}, norm


def linear_schedule(step: int, total_steps: int, warmup_steps: int) -> float:
    """The factor on the learning rate: up from 0 to 1 in a straight line, then down to 0 (Devlin et al. 2019).

    Args:
        step: updates made so far, 0 at the first.
        total_steps: updates of the whole run, after which the factor is 0.
        warmup_steps: updates on the way up.
    """
    if step < warmup_steps:
        return step / warmup_steps
    return max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))
