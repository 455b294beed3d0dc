"""Tries a foreign encoder on short rows before it is used: whether it computes them, and whether padding matters."""

from __future__ import annotations

from typing import Any

import torch
from bertcore.errors import ModelError
from torch import Tensor

from bertcore_torch.foreign_family import ForeignConfig

_SHORT, _LONG = 2, 4
"""Tokens of the rows: an empty text between [CLS] and [SEP], and the shortest length that may be chosen."""

_ROUNDING = 1e-5
"""Parts of the largest hidden state that two orders of summation may differ by in float32."""


def padding_matters(encoder: Any, config: ForeignConfig, gives_types: bool) -> bool:
    """Whether a row's hidden states change when it is padded, as in FNet, whose layers mix all positions.

    The encoder is as it was built, in float32; its weights do not matter for the answer.

    Args:
        encoder: a module of ``transformers.AutoModel`` with values, on any device.
        config: its sizes.
        gives_types: whether it is given token types.

    Raises:
        ModelError: it cannot compute rows of text, or gives no ``hidden_size`` numbers for each token.
    """
    name = type(encoder).__name__
    device = next(encoder.parameters()).device
    tokens = torch.arange(1, _LONG + 1, device=device).remainder(config.vocab_size)[None]
    mask = torch.ones_like(tokens)
    # The token behind the mask is not the padding token, whose embedding may be zero in a new module alone.
    padded_mask = mask.index_fill(1, torch.arange(_SHORT, _LONG, device=device), 0)
    try:
        alone = _hidden_states(encoder, tokens[:, :_SHORT], mask[:, :_SHORT], gives_types)
        rows, masks = tokens.repeat(2, 1), torch.cat([mask, padded_mask])
        among = _hidden_states(encoder, rows, masks, gives_types)[1:, :_SHORT]
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a stranger's module does with rows that it is not made for
        reason = next(iter(str(error).splitlines()), "")
        raise ModelError(
            f"model_type {config.family!r}: {name} of transformers does not compute short rows of text: "
            f"{type(error).__name__}: {reason}",
            "use another model",
            code="model-untrainable",
        ) from error
    expected = (1, _SHORT, config.hidden_size)
    if tuple(alone.shape) != expected:
        raise ModelError(
            f"model_type {config.family!r}: {name} of transformers gives hidden states of the shape "
            f"{list(alone.shape)} for {_SHORT} tokens, where heads need {list(expected)}",
            "use another model",
            code="model-untrainable",
        )
    return bool((alone - among).abs().max() > _ROUNDING * alone.abs().max())


def _hidden_states(encoder: Any, input_ids: Tensor, attention_mask: Tensor, gives_types: bool) -> Tensor:
    types = {"token_type_ids": torch.zeros_like(input_ids)} if gives_types else {}
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            output = encoder(input_ids=input_ids, attention_mask=attention_mask, **types, return_dict=True)
    finally:
        encoder.train(was_training)
    states: Tensor = output.last_hidden_state
    return states
