"""A label for each token, by a softmax or a conditional random field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch, Column, Per
from bertcore.contracts.head import NEW_HEAD, Head, linear_parameters
from bertcore.contracts.head_labels import LABEL_ENTRIES, label_entries, labels_from_config
from bertcore.contracts.loss_options import LOSS_OPTIONS, LossOptions, balanced_weights
from bertcore.contracts.parameters import ParameterSpec
from bertcore.contracts.tagging import (
    OUTSIDE,
    SCHEMES,
    LegalTransitions,
    entity_types,
    legal_transitions,
    transition_scores,
)
from bertcore.errors import ModelError, Origin
from bertcore.heads.official import classifier_features


@dataclass(frozen=True)
class TokenClassification(Head):
    """One tag per label position: softmax, or a conditional random field over the label positions of a row.

    Reads ``labels``: int ``[label positions]``. Gives ``logits`` (emissions): float32 ``[label positions, labels]``,
    and ``tags``: int32 ``[label positions]``, the best label, or with a CRF the best path. The loss sums over label
    positions (softmax) or over rows (CRF, Lafferty et al. 2001; :mod:`bertcore.numerics.crf` says what it is, and
    that an ignored label is absent from its sequence).

    Attributes:
        labels: tags in the order of their ids.
        crf: whether a conditional random field stands behind the linear layer.
        scheme: the tag scheme (:mod:`bertcore.contracts.tagging`) that says which transitions are legal; "" forbids
            none.
        forbid: where a CRF forbids the others: when it decodes, also when it is trained, or never.
        transitions: whether a new CRF starts with zeros or with the logarithms of the training set's frequencies.
        crf_learning_rate: peak learning rate of the CRF's own parameters; 0 freezes them.
        loss: how the cross entropies without a CRF are shaped.
    """

    labels: tuple[str, ...]
    crf: bool = False
    scheme: str = ""
    forbid: Literal["never", "decoding", "training"] = "decoding"
    transitions: Literal["zeros", "data"] = "zeros"
    crf_learning_rate: float = 1e-3
    loss: LossOptions = field(default=LossOptions(), repr=False, kw_only=True)

    name: ClassVar[str] = "token_classification"
    outputs: ClassVar[Mapping[str, Per]] = {"logits": "label", "tags": "label"}
    architecture: ClassVar[str] = "ForTokenClassification"
    entry_names: ClassVar[tuple[str, ...]] = (*LABEL_ENTRIES, "tag_scheme", "crf", "crf_forbid")
    parameter_names: ClassVar[str] = r"classifier\.(weight|bias)|crf\.(start_|end_)?transitions"

    @property
    def compared_outputs(self) -> tuple[str, ...]:
        """Of tags there is no divergence."""
        return ("logits",)

    @property
    def output_size(self) -> int:  # noqa: D102
        return len(self.labels)

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:  # noqa: D102
        table = linear_parameters("classifier", self.output_size, hidden_size)
        if self.crf:
            size = self.output_size
            table["crf.transitions"] = ParameterSpec((size, size), "zeros", NEW_HEAD)
            table["crf.start_transitions"] = ParameterSpec((size,), "zeros", NEW_HEAD)
            table["crf.end_transitions"] = ParameterSpec((size,), "zeros", NEW_HEAD)
        return table

    def config_entries(self) -> dict[str, Any]:  # noqa: D102
        entries = label_entries(self.labels)
        if self.scheme:
            entries["tag_scheme"] = self.scheme
        return {**entries, "crf": True, "crf_forbid": self.forbid} if self.crf else entries

    @classmethod
    def from_config(cls, config: Mapping[str, Any], origin: str) -> Self | None:
        """See :meth:`Head.from_config`; ``O`` may be there twice among the labels: no entity has it."""
        scheme = config.get("tag_scheme", "")
        if scheme not in ("", *SCHEMES):
            raise ModelError(
                f"tag_scheme is {scheme!r}, none of {', '.join(SCHEMES)}",
                "correct the model's config.json",
                origin=Origin(origin),
                code="model-config-wrong",
            )
        return cls(
            labels_from_config(config, origin, besides=OUTSIDE),
            crf=config.get("crf") is True,
            scheme=scheme,
            forbid=config.get("crf_forbid", "decoding"),
        )

    def predicts_as(self, other: Head) -> bool:
        """Whether both tag entities of the same types, in whatever scheme, or have the same tags without types."""
        if not isinstance(other, TokenClassification):
            return False
        of_both = [{*entity_types(head.labels)} or {*head.labels} for head in (self, other)]
        return of_both[0] == of_both[1]

    def going_on_from(self, stored: Head) -> Self:
        """The stored head, if it tags the same entities: in its own order of labels, and with its CRF."""
        return stored if isinstance(stored, type(self)) and stored.predicts_as(self) else self

    @property
    def classes(self) -> tuple[str, ...]:
        """The types of entities."""
        return entity_types(self.labels)

    @property
    def learning_rates(self) -> Mapping[str, float]:  # noqa: D102
        return {r"^crf\.": self.crf_learning_rate} if self.crf else {}

    def legal_transitions(self) -> LegalTransitions:
        """Which tags may begin, follow one another and end, by the tag scheme."""
        return legal_transitions(self.labels, self.scheme)

    def initial_parameters(self, batch: Batch) -> Mapping[str, NDArray[np.float32]]:  # noqa: D102
        if not self.crf or self.transitions == "zeros":
            return {}
        assert batch.label_offsets is not None
        scores = transition_scores(
            batch.columns[self.label_column].values.astype(np.int64), batch.label_offsets, len(self.labels)
        )
        return {
            "crf.transitions": scores.pairs,
            "crf.start_transitions": scores.start,
            "crf.end_transitions": scores.end,
        }

    @property
    def loss_options(self) -> tuple[str, ...]:  # noqa: D102
        return () if self.crf else LOSS_OPTIONS

    def balanced_weights(self, batch: Batch) -> Mapping[str, float]:  # noqa: D102
        return balanced_weights(self.labels, batch.columns[self.label_column])

    def loss_count(self, batch: Batch) -> float:
        """Rows of a CRF; else label positions that are not ignored, each as often as the weight of its label says."""
        if self.crf:
            return float(len(batch))
        if not self.loss.class_weights:
            return super().loss_count(batch)
        return self.loss.weight_sum(batch.columns[self.label_column])

    def official_features(self, batch: Batch, first_row: int) -> dict[str, Column]:  # noqa: D102
        count = 0 if batch.label_positions is None else len(batch.label_positions)
        return classifier_features(self, batch, np.zeros(count, dtype=np.int64), "label")
