"""A head: one of several ranks for a whole text, as the stars of a review."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from bertcore import (
    LABEL_ENTRIES,
    Batch,
    Head,
    ParameterSpec,
    Per,
    label_entries,
    labels_from_config,
    linear_parameters,
)
from numpy.typing import NDArray


@dataclass(frozen=True)
class OrdinalRegression(Head):
    """Ranks in their order, by one score and a threshold between each two: CORAL (Cao et al. 2020, arXiv 1901.07884).

    A classifier does not know that four stars are nearer to five than to one. Here the text has one score s, and rank
    k is exceeded with the probability ``sigmoid(s + thresholds[k])``::

        ranks         1         2         3         4         5
        thresholds        [0]  >=   [1]  >=   [2]  >=   [3]       fall where they are learned, as the paper proves

    Reads ``labels``: int ``[rows]``, the number of the rank. Gives ``logits``: float32 ``[rows, ranks - 1]``, each
    ``s + thresholds[k]``. The loss of a row is the sum of the binary cross entropies of "beyond rank k", and it sums
    over rows.

    Attributes:
        labels: names of the ranks, the lowest first.
    """

    labels: tuple[str, ...]

    name: ClassVar[str] = "ordinal_regression"
    uses_pooler: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Per]] = {"logits": "row"}
    architecture: ClassVar[str] = "ForOrdinalRegression"
    entry_names: ClassVar[tuple[str, ...]] = LABEL_ENTRIES
    parameter_names: ClassVar[str] = r"classifier\.(weight|bias)|thresholds"

    @property
    def output_size(self) -> int:
        """One score."""
        return 1

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:
        """The layer that scores, and the thresholds, all of which its bias moves together."""
        thresholds = ParameterSpec((len(self.labels) - 1,), "zeros", "the thresholds are new")
        return {**linear_parameters("classifier", 1, hidden_size), "thresholds": thresholds}

    def initial_parameters(self, batch: Batch) -> Mapping[str, NDArray[np.float32]]:
        """Thresholds at which a score of 0 is beyond rank k as often as the texts of the training split are."""
        labels: NDArray[Any] = batch.columns[self.label_column].values
        beyond = np.array([(labels > rank).sum() for rank in range(len(self.labels) - 1)])
        odds = (beyond + 1) / (len(labels) - beyond + 1)  # as if there were one more on either side
        return {"thresholds": np.log(odds).astype(np.float32)}

    def config_entries(self) -> dict[str, Any]:
        """The names of the ranks, as those of any labels."""
        return label_entries(self.labels)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], origin: str) -> Self | None:
        """Every ``config.json`` with the architecture describes this head."""
        return cls(labels_from_config(config, origin))
