"""How far the word embeddings are moved along their gradient.

Sources:
    Miyato et al. 2017, "Adversarial Training Methods for Semi-Supervised Text Classification", arXiv 1605.07725 (FGM).
    Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks", arXiv 1706.06083 (PGD).
    bert4torch, `callbacks.py`, classes `FGM` and `PGD`, which move the table and not each row of a batch.
"""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

import numpy as np

from bertcore.testing.reference.functions import Array


def perturbed(perturbation: Array, gradient: Array, distance: float, radius: float | None = None) -> Array:
    """`r' = r + distance * g / |g|`, and `radius * r' / |r'|` where that is longer than the radius.

    Args:
        perturbation: r, what has been added to the table so far, [vocabulary, width].
        gradient: g, of the loss with respect to the table at `table + r`; of zeros, r stays.
        distance: how far to go.
        radius: of the ball around the table itself; None for no ball. Norms are those of all values together.
    """
    length = np.linalg.norm(gradient)
    moved = perturbation + distance * gradient / length if length > 0 else perturbation.copy()
    reached = np.linalg.norm(moved)
    return moved * (radius / reached) if radius is not None and reached > radius else moved
