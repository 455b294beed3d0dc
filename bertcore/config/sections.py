"""The sections of a configuration, and which options they have."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, create_model, field_validator

from bertcore.config.comma_lists import joined
from bertcore.config.method_options import (
    ADVERSARIES_OF_OPTION,
    SCHEDULE_OF_OPTION,
    AdversarialOptions,
    Adversary,
    DistillOptions,
    LoraOptions,
    Schedule,
    ScheduleOptions,
)
from bertcore.config.parameter_rules import ParameterRule
from bertcore.config.section import Section

FILE_OPTIONS = ("path", "train", "dev", "test")
"""Data options that name files or folders; a task's own options of these names count, too."""

DIVISION_OPTIONS = ("dev_fraction", "division", "division_seed")
"""Data options that take the split to evaluate from the training examples."""

OPTIONS_BESIDE_ROWS = frozenset({*FILE_OPTIONS, *DIVISION_OPTIONS, "cache", "stream_window"})
"""Data options that say where data lies or how it is held, and not what its rows are."""


class ModelConfig(Section):
    """Where the weights come from."""

    path: str | None = Field(None, description="Hugging Face folder, weight file, hub name, or 'sample'")
    revision: str | None = Field(None, description="branch, tag or commit of a hub name")
    adapter: str | None = Field(
        None, description="folder of a LoRA adapter in peft's layout; merged, or trained further with train.lora"
    )
    new_head: bool = Field(False, description="start a new head whatever the weights hold")


class DataConfig(Section):
    """What is read and how it becomes tokens. A task may add options of its own."""

    path: str | None = Field(None, description="folder of the task's files, or 'sample'")
    dev_fraction: float | None = Field(
        None, gt=0, lt=1, description="part of the training examples to evaluate on, where there is no file for that"
    )
    division: str | None = Field(None, description="file that names that part, as a run keeps it")
    division_seed: int = Field(42, ge=0, lt=2**63, description="seed of that part, and of folds")
    max_length: int | None = Field(None, ge=4, description="tokens of the longest row; default: what the model allows")
    lowercase: bool | None = Field(None, description="default: as the tokenizer's own files say")
    cache: bool = Field(True, description="keep encoded splits on disk")
    stream_window: int = Field(10_000, ge=1, description="examples held at a time of a streamed split")


class HeadConfig(Section):
    """What stands on top of the encoder, and how its loss is shaped. A task may add options of its own."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, description="part of the label that all labels share in the loss")
    focal_gamma: float = Field(0.0, ge=0, description="how much less what is learned already counts: focal loss")
    class_weights: Literal["balanced"] | dict[str, float] | None = Field(
        None, description="weights in the loss by label, 1 where none is named; or 'balanced', by the training split"
    )

    @field_validator("class_weights")
    @classmethod
    def _check_class_weights(
        cls, weights: Literal["balanced"] | dict[str, float] | None
    ) -> Literal["balanced"] | dict[str, float] | None:
        if isinstance(weights, dict) and any(weight < 0 for weight in weights.values()):
            raise ValueError("no weight may be below 0")
        return weights

    @property
    def chooses_head(self) -> bool:
        """Whether an option says what head it shall be, and not only how its loss is shaped."""
        return not self.model_fields_set <= HeadConfig.model_fields.keys()


class TrainConfig(Section):
    """How the model is trained."""

    epochs: float = Field(3.0, gt=0, description="passes over the training split")
    max_steps: int | None = Field(None, ge=1, description="optimizer steps, instead of epochs")
    batch_size: int = Field(32, ge=1, description="rows of a forward pass, or questions with all their choices")
    accumulation: int = Field(1, ge=1, description="forward passes of an optimizer step")
    micro_batch: int | Literal["auto"] | None = Field(
        None,
        description="rows that a forward pass has at most, where a batch is computed in parts; or 'auto': it is halved "
        "whenever the device has no memory",
    )
    learning_rate: float = Field(5e-5, ge=0, description="peak learning rate")
    head_learning_rate: float | None = Field(
        None, ge=0, description="peak learning rate of the head; default: learning_rate"
    )
    layer_decay: float | None = Field(
        None, gt=0, le=1, description="factor of the learning rate from a layer to the one below it; the head has 1"
    )
    freeze: str | None = Field(
        None,
        description="parts that are not trained: embeddings, layers.N, layers.A-B, encoder, pooler, head, or names of "
        "modules as transformers has them",
    )
    unfreeze_epochs: float | None = Field(
        None,
        gt=0,
        description="gradual unfreezing: epochs after which one layer more is trained, from the top; the head begins, "
        "the embeddings come last",
    )
    parameters: tuple[ParameterRule, ...] = Field(
        (),
        description="ordered rules: pattern, and learning_rate, factor, weight_decay or frozen; the first match counts",
    )
    lora: LoraOptions = Field(default_factory=LoraOptions, description="low-rank adaptation")
    schedule: Schedule = Field("linear", description="decay after the warm-up")
    schedule_options: ScheduleOptions = Field(
        default_factory=ScheduleOptions, description="options of the schedule", validate_default=True
    )
    warmup_ratio: float = Field(0.1, ge=0, le=1, description="part of all steps in which the rate rises")
    weight_decay: float = Field(0.01, ge=0, description="decoupled decay; biases and LayerNorm are spared")
    betas: tuple[float, float] = Field((0.9, 0.999), description="decay rates of AdamW's moments")
    eps: float = Field(1e-8, gt=0, description="AdamW's epsilon")
    clip_norm: float | None = Field(1.0, gt=0, description="largest global gradient norm; 'none' switches it off")
    dropout: bool = Field(True, description="false sets every dropout to zero")
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="decay of a moving average of the weights, which is evaluated and kept as the best",
    )
    group_by_length: bool = Field(False, description="batches of rows of similar length")
    objective: str = Field("head_loss", description="what is minimized")
    objective_options: dict[str, Any] = Field(default_factory=dict, description="options of the objective")
    adversarial: Adversary | None = Field(
        None,
        description="adversarial training: a further pass at word embeddings moved along their gradient",
    )
    adversarial_options: AdversarialOptions = Field(
        default_factory=AdversarialOptions, description="options of adversarial", validate_default=True
    )
    r_drop: float | None = Field(
        None, gt=0, description="R-Drop: weight of the divergence between two passes with dropout masks of their own"
    )
    distill: DistillOptions = Field(default_factory=DistillOptions, description="a teacher to learn from")
    evaluate_steps: int | None = Field(None, ge=1, description="steps between evaluations; default: an epoch")
    metric: str | None = Field(
        None, description="what chooses the best checkpoint: a metric of the task, or loss; default: the task's own"
    )
    early_stopping: int | None = Field(None, ge=1, description="stop after so many evaluations without a better one")
    save_steps: int | None = Field(None, ge=1, description="steps between complete checkpoints; default: an epoch")
    keep_checkpoints: int = Field(
        2, ge=1, description="complete checkpoints that are kept; an earlier one is used where the last is damaged"
    )
    stop_after: int | None = Field(
        None, ge=1, description="stop with a checkpoint after so many steps; the schedule stays as it is"
    )
    log_steps: int = Field(10, ge=1, description="steps between logged losses")

    @field_validator("freeze", mode="before")
    @classmethod
    def _join_freeze(cls, value: object) -> object:
        return joined(value)

    @field_validator("micro_batch")
    @classmethod
    def _check_micro_batch(cls, rows: int | Literal["auto"] | None) -> int | Literal["auto"] | None:
        if isinstance(rows, int) and rows < 1:
            raise ValueError("a number of rows, at least 1, or 'auto'")
        return rows

    @field_validator("betas")
    @classmethod
    def _check_betas(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError("each must be at least 0 and below 1")
        return betas

    @field_validator("schedule_options")
    @classmethod
    def _check_schedule_options(cls, options: ScheduleOptions, info: ValidationInfo) -> ScheduleOptions:
        if not {"schedule", "learning_rate"} <= info.data.keys():
            return options  # one of them is wrong, and is told of by itself
        schedule, peak = info.data["schedule"], info.data["learning_rate"]
        for name, owner in SCHEDULE_OF_OPTION.items():
            value = getattr(options, name)
            # By value and not by whether it was set: the file of a run names every option with its default.
            if owner != schedule and value != ScheduleOptions.model_fields[name].default:
                raise ValueError(f"{name} needs train.schedule={owner}, and the schedule is {schedule}")
            if owner == schedule and name in ("minimum_rate", "end_rate") and value >= peak > 0:
                raise ValueError(f"{name} {value:g} is not below train.learning_rate {peak:g}")
        return options

    @field_validator("adversarial_options")
    @classmethod
    def _check_adversarial_options(cls, options: AdversarialOptions, info: ValidationInfo) -> AdversarialOptions:
        chosen = info.data.get("adversarial")
        for name, owners in ADVERSARIES_OF_OPTION.items():
            value = getattr(options, name)
            # By value, as for a schedule's.
            if chosen not in owners and value != AdversarialOptions.model_fields[name].default:
                raise ValueError(f"{name} needs train.adversarial={' or '.join(owners)}, and it is {chosen or 'none'}")
        return options

    @field_validator("r_drop")
    @classmethod
    def _check_r_drop(cls, weight: float | None, info: ValidationInfo) -> float | None:
        if weight is not None and info.data.get("dropout") is False:
            raise ValueError("two passes without dropout are the same one: it needs train.dropout=true")
        return weight


class EvaluateConfig(Section):
    """How a model is evaluated."""

    batch_size: int = Field(64, ge=1, description="rows of a forward pass, or questions with all their choices")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="precision of predictions")


class RunSection(Section):
    """Where and how the run takes place."""

    output: str | None = Field(None, description="run folder; default: runs/TASK-BACKEND-TIME")
    device: str = Field("auto", description="device of the backend, as cpu or cuda:0")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="precision of training")
    kernels: Literal["fused", "reference"] = Field(
        "fused",
        description="on a CPU: fused kernels of bertcore's own, where they are compiled; or the framework's operators",
    )
    seed: int = Field(42, ge=0, lt=2**63, description="seed of data order, dropout and new parameters")
    trackers: tuple[str, ...] | None = Field(None, description="names of trackers; default: those on by default")


class RunConfig(Section):
    """Everything that determines a run."""

    task: str | None = Field(None, description="name of the task")
    backend: str | None = Field(None, description="name of the backend")
    model: ModelConfig = Field(default_factory=ModelConfig)
    data: DataConfig = Field(default_factory=DataConfig)
    head: HeadConfig = Field(default_factory=HeadConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    run: RunSection = Field(default_factory=RunSection)


def config_model(data: type[DataConfig] = DataConfig, head: type[HeadConfig] = HeadConfig) -> type[RunConfig]:
    """Returns the configuration model with the options of a task."""
    if data is DataConfig and head is HeadConfig:
        return RunConfig
    return create_model(
        "RunConfig",
        __base__=RunConfig,
        data=(data, Field(default_factory=data)),
        head=(head, Field(default_factory=head)),
    )
