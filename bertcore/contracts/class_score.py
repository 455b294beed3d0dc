"""How well single classes, labels or types of entities are found."""

from __future__ import annotations

from dataclasses import dataclass

CLASS_FIGURES = ("f1", "precision", "recall")
"""What a class is scored by."""


@dataclass(frozen=True)
class ClassScore:
    """How well one class, label or type of entity is found, from counts.

    A score without a denominator is 0, as in scikit-learn and seqeval.

    Attributes:
        correct: how often it was predicted rightly.
        predicted: how often it was predicted.
        support: how often it was to be found.
    """

    correct: int = 0
    predicted: int = 0
    support: int = 0

    @property
    def precision(self) -> float:
        """Part of what was predicted that is right."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Part of what was to be found that was found."""
        return self.correct / self.support if self.support else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.correct / (self.predicted + self.support) if self.predicted + self.support else 0.0

    def as_dict(self) -> dict[str, float]:
        """The scores and what they are made of, by name, as reports hold them."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "support": self.support,
            "predicted": self.predicted,
        }
