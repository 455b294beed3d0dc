"""Rules by which parameters get a learning rate, a decay or none at all, as a configuration holds them."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bertcore.config.comma_lists import words_of

PART = re.compile(r"embeddings|encoder|pooler|head|layers\.\d+(-\d+)?")
"""A part of a model, in a word: what ``train.freeze`` lists and what a rule may name instead of a pattern."""


class ParameterRule(BaseModel):
    """One of ``train.parameters``; the first rule that matches a parameter counts."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    pattern: str = Field(
        min_length=1, description="parts as in train.freeze, or a regular expression searched in canonical names"
    )
    learning_rate: float | None = Field(None, ge=0, description="peak learning rate, instead of any other")
    factor: float | None = Field(None, ge=0, description="times the peak learning rate that there would be without it")
    weight_decay: float | None = Field(None, ge=0, description="instead of train.weight_decay")
    frozen: bool = Field(False, description="nothing that matches is trained")

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _check_rate(self) -> ParameterRule:
        given = [self.learning_rate is not None, self.factor is not None, self.frozen]
        if sum(given) > 1:
            raise ValueError("give one of learning_rate, factor and frozen")
        return self

    @property
    def freezes(self) -> bool:
        """Whether nothing that matches is trained."""
        return self.frozen or self.learning_rate == 0 or self.factor == 0

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that the rule names; empty where its pattern is a regular expression."""
        words = words_of(self.pattern)
        return words if all(PART.fullmatch(word) for word in words) else ()

    def as_given(self) -> dict[str, Any]:
        """The entries that are no defaults, as TOML and JSON hold them."""
        return self.model_dump(exclude_defaults=True)
