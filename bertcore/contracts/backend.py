"""The contract of a backend: how to compute.

A backend builds a model for a configuration and a head on one device, runs training steps and predictions on ragged
batches, and hands parameters and optimizer state out and in as numpy arrays. It knows no task, no file and no
schedule; the engine knows no framework.

Several processes may train one run (:mod:`bertcore.contracts.ranks`): each has a session of its own, is given its part
of the rows of every step, and the sessions add up their gradients before each of them makes the same update.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.adapter import Adapter
from bertcore.contracts.batch import Batch
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.head import Head
from bertcore.contracts.implementations import CodeOf
from bertcore.contracts.objective import HeadLoss, Objective
from bertcore.contracts.parameters import Parameters, ParameterSpec
from bertcore.contracts.ranks import ALONE, Ranks
from bertcore.contracts.training_step import OptimizerState, StepContext, StepResult
from bertcore.errors import DeviceError

Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
KernelChoice = Literal["fused", "reference"]

Outputs = dict[str, NDArray[np.generic]]
"""Name of an output to its values in row order: ``[rows, ...]``, ``[tokens, ...]``, ``[label positions, ...]`` or
``[pairs, ...]``, as the head declares. ``loss`` is float32 ``[rows]``, each row's part of the loss sum."""


@dataclass(frozen=True)
class ParameterGroup:
    """One rule of the ordered rules by which parameters get their learning rate and decay; the first match counts.

    Attributes:
        name: shown in logs.
        pattern: regular expression, searched in the canonical name.
        learning_rate: peak learning rate of the group; 0 freezes it.
        weight_decay: decoupled decay (Loshchilov and Hutter, arXiv 1711.05101), times the learning rate per step.
        first_step: before so many steps of the run the group takes no part, as if it were frozen: it has no gradient,
            counts not for the norm, and neither its moments nor its count of updates move.
    """

    name: str
    pattern: str
    learning_rate: float
    weight_decay: float
    first_step: int = 0


@dataclass(frozen=True)
class TrainingSpecification:
    """All that the optimizer of a session is told, once.

    Attributes:
        groups: ordered rules; every parameter must match one.
        betas: decay rates of the first and second moment.
        eps: added to the root of the second moment.
        clip_norm: largest global norm of all gradients after dividing by the denominator, or None. Definition of
            ``torch.nn.utils.clip_grad_norm_``: the factor is ``min(1, clip_norm / (norm + 1e-6))``.
        objective: what is minimized.
        dropout: False sets every dropout to zero.
        ema: decay of an exponential moving average of what is trained, with which the session predicts; None for none.
            Formula of ``torch.optim.swa_utils``, ``AveragedModel`` with ``get_ema_multi_avg_fn``: the first update that
            is made is copied, each further one moves the average by ``(1 - ema) * (parameter - average)``.
    """

    groups: tuple[ParameterGroup, ...]
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip_norm: float | None = 1.0
    objective: Objective = field(default_factory=HeadLoss)
    dropout: bool = True
    ema: float | None = None


@dataclass(frozen=True)
class Workload:
    """What the session will be fed, so that a backend with static shapes can choose them beforehand.

    Attributes:
        training_lengths: int64 ``[rows]``, tokens of every training row; empty where nothing is trained.
        prediction_lengths: int64 ``[rows]``, tokens of every row to predict; empty where unknown.
        batch_size: rows of a training micro-batch.
        prediction_batch_size: rows of a prediction batch.
        max_length: no row is longer, in tokens.
    """

    training_lengths: NDArray[np.int64]
    prediction_lengths: NDArray[np.int64]
    batch_size: int
    prediction_batch_size: int
    max_length: int


@dataclass(frozen=True)
class SessionSpecification:
    """All that a session is opened with.

    Attributes:
        config: sizes of the encoder.
        head: what stands on top of it.
        table: canonical names and shapes of all parameters, in order; the adapter's last.
        device: one of the backend's devices, as ``cpu`` or ``cuda:1``.
        precision: of training; the parameters that a session hands out are float32 always.
        prediction_precision: of predictions.
        workload: what the session will be fed.
        code_of: the backend's code for the configuration, the head, the objective and the adapter, imported when it is
            asked for.
        training: None for a session that only predicts.
        adapter: what is trained instead of weights of the encoder; None where the table is the model's own.
        ranks: which of several processes this one is; a session joins the others when it is opened.
        kernels: ``fused``: on a CPU by the kernels of ``bertcore_kernels``, where these are; ``reference``: by the
            framework's own operators alone, which are what the others are compared with.
    """

    config: BertConfig
    head: Head
    table: Mapping[str, ParameterSpec]
    device: str
    precision: Precision
    prediction_precision: Precision
    workload: Workload
    code_of: CodeOf
    training: TrainingSpecification | None = None
    adapter: Adapter | None = None
    ranks: Ranks = ALONE
    kernels: KernelChoice = "fused"


class Session(ABC):
    """One model on one device."""

    @abstractmethod
    def load(self, parameters: Parameters) -> None:
        """Takes all parameters of the table and starts a new optimizer state (moments and update count zero)."""

    @abstractmethod
    def parameters(self) -> Parameters:
        """Returns copies of all parameters, float32, in the order of the table."""

    def predicting_parameters(self) -> Parameters:
        """Returns copies of what the session predicts with, as :meth:`parameters` does.

        A session that keeps averages (:attr:`TrainingSpecification.ema`) gives these for what is trained.
        """
        return self.parameters()

    @abstractmethod
    def train_step(self, micro_batches: Sequence[Batch], context: StepContext) -> StepResult:
        """One optimizer step over the gradient of all micro-batches.

        Adds the gradients of the loss sums, those of the other ranks too, divides by ``context.loss_denominator``,
        unscales (fp16), clips by the global norm and updates with AdamW. An empty micro-batch adds nothing.

        Args:
            micro_batches: what this rank computes.
            context: of the step, for all ranks.

        Raises:
            DeviceMemoryError: the device has no memory for one of them.
        """

    @abstractmethod
    def predict(self, batch: Batch, want: Sequence[str]) -> Outputs:
        """Returns the named outputs of the head, and ``loss`` if wanted, in row order, without dropout.

        A session that keeps averages predicts with them, from its first update on.

        Raises:
            DeviceMemoryError: the device has no memory for the batch.
        """

    @abstractmethod
    def state(self) -> OptimizerState:
        """Returns copies of the optimizer's state."""

    @abstractmethod
    def restore(self, state: OptimizerState) -> None:
        """Continues from a state of any backend; call :meth:`load` first."""

    def exchange(self, content: bytes) -> list[bytes]:
        """Gives something to all ranks, and returns what each of them gave, in the order of the ranks.

        Every rank must call it at the same point. A session that was opened alone returns its own.
        """
        return [content]

    @property
    def compile_seconds(self) -> float:
        """Seconds spent on compiling graphs so far."""
        return 0.0

    @property
    def peak_memory(self) -> int | None:
        """Most bytes of a device's own memory that were in use; None where the device computes in the process's."""
        return None

    def close(self) -> None:  # noqa: B027 - most backends have nothing to free
        """Frees what can be freed; the session is not used afterwards."""


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one tested operation of ``bertcore doctor``.

    Attributes:
        operation: what was computed, in words.
        passed: whether the result was right.
        detail: the difference seen, or the error.
    """

    operation: str
    passed: bool
    detail: str


class Backend(ABC):
    """Base of all backends; an instance is registered by ``bertcore_register_backends``.

    Creating an instance and reading its class attributes imports no framework.

    Class attributes:
        name: as in ``--backend torch``.
        description: one line.
        packages: distributions that the backend needs, as pip names them.
        devices: kind of device to the precisions that it has; the order is that of preference for ``auto``.
        weight_file: name of the file beside ``best/`` (``best_model.pt``) and of the converter that writes it.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    devices: ClassVar[Mapping[str, tuple[Precision, ...]]]
    weight_file: ClassVar[tuple[str, str]]

    @abstractmethod
    def problem(self) -> tuple[str, str] | None:
        """Says in a line of cause and a line of remedy why the backend cannot run here, or None; imports it."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Version of each package that the results depend on; imports the framework."""

    @abstractmethod
    def available_devices(self) -> list[str]:
        """Devices of this machine, as ``cuda:0``, best first; imports the framework."""

    @abstractmethod
    def check(self, device: str) -> CheckResult:
        """Computes one small operation on a device and compares it with numpy."""

    def describe_kernels(self, device: str, choice: KernelChoice) -> str | None:
        """Says in a line which kernels a session on a device computes with, or None where there is no choice."""
        return None

    def sum_over_ranks(self, ranks: Ranks, device: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Adds up an array over all ranks, each of which must call it; for ``bertcore doctor --hostfile``.

        Raises:
            DeviceError: the backend cannot, or the other ranks are lost.
        """
        raise DeviceError(
            f"the backend {self.name} trains in one process alone",
            "take another backend, or leave out --nproc and --hostfile",
            code="ranks-impossible",
        )

    @abstractmethod
    def open(self, specification: SessionSpecification) -> Session:
        """Opens a session; the first step may still compile.

        Raises:
            DeviceError: the device or the precision is absent.
            UsageError: no code is registered for the encoder, the head or the objective.
        """
