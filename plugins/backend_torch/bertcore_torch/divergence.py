"""How far outputs are from others, for the heads: Kullback-Leibler divergences, softened by a temperature.

Both are logits, divided by the temperature (Hinton et al. 2015, arXiv 1503.02531) before they become probabilities.
Gradients flow into both.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def softmax_divergence(outputs: Tensor, towards: Tensor, temperature: float) -> Tensor:
    """KL(towards || outputs) over the last axis, ``[..., classes]`` to ``[...]``; logits must be finite."""
    log_outputs = F.log_softmax(outputs / temperature, dim=-1)
    log_towards = F.log_softmax(towards / temperature, dim=-1)
    return F.kl_div(log_outputs, log_towards, reduction="none", log_target=True).sum(dim=-1)


def bernoulli_divergence(outputs: Tensor, towards: Tensor, temperature: float) -> Tensor:
    """KL(towards || outputs) of a yes or no each, in the shape of the logits."""
    outputs, towards = outputs / temperature, towards / temperature
    probability = towards.sigmoid()
    yes = F.logsigmoid(towards) - F.logsigmoid(outputs)
    no = F.logsigmoid(-towards) - F.logsigmoid(-outputs)
    return probability * yes + (1 - probability) * no
