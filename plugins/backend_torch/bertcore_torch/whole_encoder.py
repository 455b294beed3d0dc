"""Predictions of a whole encoder by one call of a fused kernel, on a CPU: no operator is dispatched between its layers.

The states are float32 whatever the precision: with bf16 the inputs of products alone are rounded.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from bertcore.contracts.backend import SessionSpecification
from bertcore.contracts.batch import Batch
from bertcore.contracts.bert_config import BertConfig
from bertcore.numerics.kernels import chosen_kernels
from bertcore_kernels import EncoderSizes, Kernels, PackedEncoder, parameter_names
from torch import Tensor

from bertcore_torch.dropout import Dropout
from bertcore_torch.encoder import PackedModel
from bertcore_torch.flat_parameters import FlatParameters
from bertcore_torch.foreign_encoder import ForeignModel
from bertcore_torch.objectives import Forward
from bertcore_torch.rows import HeadBatch, PackedRows, PaddedRows, head_batch


def computes(specification: SessionSpecification, model_class: type) -> bool:
    """Whether the kernel knows all that a session's encoder does."""
    config = specification.config
    is_known = config.hidden_act == "gelu" and config.embedding_size is None
    return is_known and specification.adapter is None and model_class is PackedModel


class WholeEncoder:
    """An encoder with the values that its parameters had when it was made.

    Args:
        config: of an encoder that it :func:`computes`.
        kernels: of the host.
        parameters: canonical name to float32 values.
        rounded: whether the inputs of products are rounded to bfloat16.
    """

    def __init__(self, config: BertConfig, kernels: Kernels, parameters: Mapping[str, Tensor], rounded: bool) -> None:
        self._config = config
        # The tables are read where they lie.
        self._parameters = [parameters[f"{config.prefix}{name}"] for name in parameter_names(config.num_hidden_layers)]
        words, positions, types = (len(table) for table in self._parameters[:3])
        sizes = EncoderSizes(
            config.num_hidden_layers,
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size,
            (words, positions, types),
            config.layer_norm_eps,
        )
        self._packed = PackedEncoder(kernels, sizes, rounded, [value.data_ptr() for value in self._parameters])

    @classmethod
    def of(
        cls, specification: SessionSpecification, parameters: FlatParameters, averages: Tensor | None
    ) -> WholeEncoder:
        """The encoder of a session with its masters, or with the averages of what is trained."""
        values = dict(parameters.views(parameters.values))
        if averages is not None:
            values |= dict(parameters.trained_views(averages))
        kernels = chosen_kernels(specification.kernels)
        assert kernels is not None
        return cls(specification.config, kernels, values, specification.prediction_precision == "bf16")

    def __call__(self, batch: Batch, first_only: bool) -> Tensor:
        """Returns the states in the order of the batch, ``[tokens, hidden]``, or ``[rows, hidden]`` of first tokens."""
        tokens = len(batch.input_ids)
        offsets = np.ascontiguousarray(batch.offsets, dtype=np.int64)
        positions = np.arange(tokens) - np.repeat(offsets[:-1], batch.lengths) + self._config.position_offset
        types = batch.token_type_ids.astype(np.int64) if self._config.reads_token_types else np.zeros(tokens, np.int64)
        output = torch.empty(len(batch) if first_only else tokens, self._config.hidden_size)
        ids = (batch.input_ids.astype(np.int64), types, positions)
        self._packed.run(offsets, ids, first_only, output.data_ptr())
        return output


class WholeForward(Forward):
    """A forward pass for predictions: the whole encoder by the kernel, pooler and head by torch, all float32.

    Args:
        model: gives the pooler and the head.
        encoder: in the place of the model's own.
    """

    def __init__(self, model: PackedModel | ForeignModel, encoder: WholeEncoder) -> None:
        assert isinstance(model, PackedModel)
        super().__init__(model, torch.device("cpu"), mask_seed=None)
        self._pooler, self._head = model.encoder.pooler, model.head
        self._encoder = encoder

    def __call__(
        self, batch: Batch, forward_pass: int = 0, embedding_offset: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Returns the head's outputs in the order of the batch."""
        hidden = self._encoder(batch, self._head.reads != "tokens")
        if self._pooler is not None:
            hidden = torch.tanh(self._pooler(hidden))
        return self._head.outputs(hidden, self._on_device(batch)[1], Dropout())

    def _on_device(self, batch: Batch) -> tuple[PackedRows | PaddedRows | None, HeadBatch]:
        if id(batch) not in self._placed:
            self._placed[id(batch)] = (batch, None, head_batch(batch, self._device))
        return self._placed[id(batch)][1:]
