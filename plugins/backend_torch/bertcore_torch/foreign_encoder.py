"""A foreign encoder, in its plain padded form, under bertcore's heads; see :mod:`bertcore_torch.foreign_family`."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from bertcore.contracts.batch import Batch
from bertcore.numerics import randomness
from torch import Tensor, nn

from bertcore_torch.devices import DeviceKind
from bertcore_torch.dropout import Dropout
from bertcore_torch.foreign_family import ForeignConfig
from bertcore_torch.foreign_probe import padding_matters
from bertcore_torch.heads import HeadModule, refuse_pooler_of_others
from bertcore_torch.rows import HeadBatch, PaddedRows, pad_rows


class ForeignModel(nn.Module):
    """An encoder of transformers with a head on top; arguments, attributes and methods as those of ``PackedModel``."""

    has_buffers = True

    def __init__(self, config: ForeignConfig, kind: DeviceKind, head: HeadModule) -> None:
        super().__init__()
        refuse_pooler_of_others(config, head)
        self.config = config
        self.kind = kind
        self.encoder: Any = config.build(pooler=head.reads == "pooled")
        self.head = head
        self.embedding_width: int = self.encoder.get_input_embeddings().embedding_dim
        takes_types = "token_type_ids" in inspect.signature(self.encoder.forward).parameters
        self._gives_types = takes_types and config.reads_token_types
        on_meta = next(self.encoder.parameters()).is_meta
        self._padding_matters = not on_meta and padding_matters(self.encoder, config, self._gives_types)

    def rows_of(self, batch: Batch, device: torch.device) -> PaddedRows:
        """Puts the tokens of a batch, which has rows, on a device."""
        return pad_rows(batch, self.config.pad_token_id, device)

    def forward(
        self, rows: PaddedRows | None, batch: HeadBatch, dropout: Dropout, offset: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Returns the head's outputs in the order of the batch; None means a batch without rows."""
        if rows is None:
            hidden = next(self.encoder.parameters()).new_empty(0, self.config.hidden_size)
        else:
            hidden = self._encode(self._inputs(rows, offset), dropout)
            if self.head.reads not in ("pooled", "first_token"):
                hidden = hidden.flatten(0, 1).index_select(0, rows.token_of_batch)
        return self.head.outputs(hidden, batch, dropout)

    def canonical_names(self) -> dict[str, tuple[str, ...]]:
        """Name of each parameter of this module to its canonical name."""
        return {
            name: (name.removeprefix("head."),)
            if name.startswith("head.")
            else (f"{self.config.prefix}{name.removeprefix('encoder.')}",)
            for name, _ in self.named_parameters()
        }

    def _inputs(self, rows: PaddedRows, offset: Tensor | None) -> dict[str, Tensor]:
        inputs = {"input_ids": rows.input_ids, "attention_mask": rows.attention_mask.long()}
        if self._gives_types:
            inputs["token_type_ids"] = rows.token_type_ids
        if offset is not None:
            embeddings = self.encoder.get_input_embeddings()(inputs.pop("input_ids"))
            moved = embeddings.flatten(0, 1).index_add(0, rows.token_of_batch, offset.to(embeddings.dtype))
            inputs["inputs_embeds"] = moved.view_as(embeddings)
        return inputs

    def _encode(self, inputs: dict[str, Tensor], dropout: Dropout) -> Tensor:
        """Runs the encoder; its own dropout draws from torch's generator, which is seeded for each pass and restored.

        So a run repeats and resumes to the bit, as with bertcore's own masks.

        Returns:
            ``[rows, hidden]`` for heads on the first token, else ``[rows, length, hidden]``.
        """
        self.encoder.train(dropout.mask_seed is not None)
        if dropout.mask_seed is None:
            return self._hidden(inputs)
        device = inputs["attention_mask"].device
        # Beside that of the CPU, which is always restored; mps has one that cannot be, and it stays seeded.
        restored = [device] if device.type in ("cuda", "npu") else []
        with torch.random.fork_rng(restored, device_type=device.type if restored else "cuda"):
            torch.manual_seed(dropout.key(randomness.FOREIGN_ENCODER))
            return self._hidden(inputs)

    def _hidden(self, inputs: dict[str, Tensor]) -> Tensor:
        """What the head reads of all rows at once, or of those of one length after the other where padding matters."""
        if not self._padding_matters:
            return self._read(self.encoder(**inputs, return_dict=True))
        lengths = inputs["attention_mask"].sum(dim=1)
        parts, places = [], []
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero()[:, 0]
            part = self._read(self.encoder(**{name: x[rows, :length] for name, x in inputs.items()}, return_dict=True))
            if part.dim() == 3:
                part = nn.functional.pad(part, (0, 0, 0, inputs["attention_mask"].shape[1] - length))
            parts.append(part)
            places.append(rows)
        return torch.cat(parts).index_select(0, torch.cat(places).argsort())

    def _read(self, encoded: Any) -> Tensor:
        if self.head.reads == "pooled":
            return encoded.pooler_output
        return encoded.last_hidden_state[:, 0] if self.head.reads == "first_token" else encoded.last_hidden_state
