"""The field on a CPU: :mod:`bertcore.numerics.crf.host`, by the compiled kernels or numpy."""

from __future__ import annotations

import numpy as np
import torch
from bertcore.contracts.tagging import LegalTransitions, TransitionScores
from bertcore.numerics.crf import host
from numpy.typing import NDArray
from torch import Tensor

from bertcore_torch.crf.sequences import Sequences
from bertcore_torch.crf.values import Results, Scores


def losses_on_host(
    emissions: Tensor,
    scores: Scores,
    tags: Tensor,
    sequences: Sequences,
    legal: LegalTransitions | None,
) -> Results:
    """Losses and gradients by the core, for tensors on a CPU."""
    kept = slice(None) if sequences.kept is None else sequences.kept.numpy()
    result = host.losses(
        emissions.detach().numpy()[kept],
        tags.numpy()[kept],
        _offsets(sequences.counts.numpy()),
        _on_host(scores),
        legal,
    )
    gradient = torch.zeros_like(emissions)
    gradient[slice(None) if sequences.kept is None else sequences.kept] = torch.from_numpy(result.emissions)
    others = (result.transitions, result.start, result.end)
    return torch.from_numpy(result.losses), gradient, *map(torch.from_numpy, others)


def decode_on_host(
    emissions: Tensor,
    scores: Scores,
    sequences: Sequences,
    legal: LegalTransitions | None,
) -> Tensor:
    """The best tags by the core, for tensors on a CPU."""
    offsets = _offsets(sequences.lengths)
    return torch.from_numpy(host.decode(emissions.numpy(), offsets, _on_host(scores), legal))


def _on_host(scores: Scores) -> TransitionScores:
    transitions, start, end = (part.detach().numpy() for part in scores)
    return TransitionScores(start, transitions, end)


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)])
