"""Options of training methods that have several: schedules, adversarial training, LoRA, a teacher."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from bertcore.config.comma_lists import joined
from bertcore.config.section import Section

Schedule = Literal[
    "linear", "cosine", "constant", "polynomial", "cosine_with_restarts", "inverse_sqrt", "warmup_stable_decay"
]

SCHEDULE_OF_OPTION: dict[str, Schedule] = {
    "minimum_rate": "cosine",
    "power": "polynomial",
    "end_rate": "polynomial",
    "cycles": "cosine_with_restarts",
    "timescale": "inverse_sqrt",
    "decay_ratio": "warmup_stable_decay",
    "decay_type": "warmup_stable_decay",
}
"""Which schedule takes an option of :class:`ScheduleOptions`."""


class ScheduleOptions(Section):
    """What shapes the decay; each option belongs to one schedule, and its default is that of transformers."""

    minimum_rate: float = Field(0.0, ge=0, description="cosine: learning rate at the end")
    power: float = Field(1.0, gt=0, description="polynomial: exponent of the part of the decay that remains")
    end_rate: float = Field(1e-7, ge=0, description="polynomial: learning rate at the end")
    cycles: int = Field(1, ge=1, description="cosine_with_restarts: half waves, each from the peak to 0")
    timescale: int | None = Field(
        None, ge=1, description="inverse_sqrt: steps; default: those of the warm-up, or 10000 without one"
    )
    decay_ratio: float = Field(
        0.1, gt=0, le=1, description="warmup_stable_decay: part of all steps, the last ones, in which the rate falls"
    )
    decay_type: Literal["linear", "cosine", "1-sqrt"] = Field(
        "cosine", description="warmup_stable_decay: how the rate falls to 0"
    )


Adversary = Literal["fgm", "pgd"]

ADVERSARIES_OF_OPTION: dict[str, tuple[Adversary, ...]] = {
    "epsilon": ("fgm", "pgd"),
    "steps": ("pgd",),
    "alpha": ("pgd",),
}
"""Which adversarial trainings take an option of :class:`AdversarialOptions`."""


class AdversarialOptions(Section):
    """How far the word embeddings are moved; the defaults are those of bert4torch's ``AdversarialTraining``."""

    epsilon: float = Field(1.0, gt=0, description="fgm: how far the table is moved; pgd: how far at most")
    steps: int = Field(3, ge=1, description="pgd: steps that the table is moved in, a pass each")
    alpha: float = Field(0.3, gt=0, description="pgd: how far a step goes")


class LoraOptions(Section):
    """Low-rank adaptation: the encoder stays as it is, and narrow products beside some of its layers are trained."""

    rank: int | None = Field(None, ge=1, description="columns of the narrow product; switches LoRA on")
    alpha: float = Field(8.0, gt=0, description="the product is multiplied by alpha / rank; default: that of peft")
    targets: str = Field(
        "query,value",
        description="layers beside which it stands: ends of their names as in peft, parts as in train.freeze, or "
        "all-linear",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="rate at which the input of the product is dropped")

    @field_validator("targets", mode="before")
    @classmethod
    def _join_targets(cls, value: object) -> object:
        return joined(value)

    @model_validator(mode="after")
    def _check_rank(self) -> LoraOptions:
        # By value and not by whether it was set: the file of a run names every option with its default.
        changed = [name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default]
        if self.rank is None and changed:
            raise ValueError(f"{changed[0]} needs train.lora.rank, which switches LoRA on")
        return self


class DistillOptions(Section):
    """From which model another one learns, and how."""

    teacher: str | None = Field(None, description="run folder or fine-tuned model folder to learn from, too")
    temperature: float = Field(2.0, gt=0, description="both logits are divided by it, which flattens them")
    weight: float = Field(0.5, gt=0, le=1, description="of the teacher's outputs; the labels have the rest")

    @model_validator(mode="after")
    def _check_teacher(self) -> Self:
        for name in ("temperature", "weight"):
            if self.teacher is None and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} needs train.distill.teacher (--teacher)")
        return self
