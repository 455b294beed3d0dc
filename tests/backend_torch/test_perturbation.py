"""How far the rows of the word embeddings are moved: only along the gradient, whatever its scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bertcore_torch.perturbation import WordPerturbation

from bertcore.contracts.batch import Batch, from_rows
from bertcore.testing.reference import perturbed

ROWS = [[7, 3, 7], [3, 9]]
PARTS = [from_rows([row], [[0] * len(row)]) for row in ROWS]
EMPTY = PARTS[0].select([])


def moved(scale: float, radius: float | None, parts: list[Batch] = PARTS) -> tuple[np.ndarray, np.ndarray]:
    """Two moves along made-up gradients of every token: what is reached, and what the reference reaches."""
    words = WordPerturbation(parts, 4, torch.device("cpu"))
    expected = np.zeros((10, 4))
    generator = np.random.default_rng(3)
    for _ in range(2):
        gradient = np.zeros((10, 4))
        for row, part in zip(ROWS, PARTS, strict=True):
            of_tokens = generator.normal(size=(len(row), 4))
            np.add.at(gradient, row, of_tokens)
            (words.of(part) * torch.from_numpy(scale * of_tokens).float()).sum().backward()
        words.move(0.7, radius)
        expected = perturbed(expected, gradient, 0.7, radius)
    found = np.zeros((10, 4))
    for row, part in zip(ROWS, PARTS, strict=True):
        found[row] = words.of(part).detach().numpy()
    return found, expected


@pytest.mark.parametrize("scale", [1.0, 2.0**16, 1e-12])
@pytest.mark.parametrize("radius", [None, 0.9, 5.0])
def test_a_loss_scale_changes_no_move(scale: float, radius: float | None) -> None:
    found, expected = moved(scale, radius)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_empty_micro_batches_are_no_obstacle() -> None:
    found, expected = moved(1.0, None, [EMPTY, *PARTS])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    words = WordPerturbation([EMPTY], 4, torch.device("cpu"))
    words.move(1.0, 0.5)
    assert words.of(EMPTY).shape == (0, 4)


def test_without_a_gradient_nothing_moves() -> None:
    words = WordPerturbation(PARTS, 4, torch.device("cpu"))
    (words.of(PARTS[0]) * 0.0).sum().backward()
    words.move(1.0, None)
    assert not words.of(PARTS[0]).any()
