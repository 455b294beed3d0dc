"""What computes: a backend, one of its devices, and the precisions there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from bertcore.config import RunConfig
from bertcore.contracts.adapter import Adapter, with_adapter
from bertcore.contracts.backend import (
    Backend,
    KernelChoice,
    Precision,
    Session,
    SessionSpecification,
    TrainingSpecification,
    Workload,
)
from bertcore.contracts.head import Head
from bertcore.contracts.ranks import ALONE, Ranks
from bertcore.engine.backend_choice import no_backend
from bertcore.errors import DeviceError
from bertcore.plugins.registry import Registry
from bertcore.weights.opening import ModelSource

NO_LENGTHS = np.zeros(0, dtype=np.int64)
"""Of rows that nobody knows before they come."""


@dataclass(frozen=True)
class ComputeTarget:
    """What computes.

    Attributes:
        backend: its framework is installed.
        device: one of its devices on this machine, as ``cuda:0``.
        precision: of training.
        prediction_precision: of evaluations and predictions.
        ranks: which of several processes this one is.
        kernels: the session's own, or the framework's.
    """

    backend: Backend
    device: str
    precision: Precision
    prediction_precision: Precision
    ranks: Ranks = ALONE
    kernels: KernelChoice = "fused"

    def describe(self) -> str:
        """Backend with the version of its framework."""
        versions = self.backend.versions()
        return ", ".join([self.backend.name, *(f"{name} {version}" for name, version in versions.items())])

    def describe_kernels(self) -> str | None:
        """What a session computes with, where there is a choice."""
        return self.backend.describe_kernels(self.device, self.kernels)

    def open_session(
        self,
        source: ModelSource,
        head: Head,
        workload: Workload,
        registry: Registry,
        training: TrainingSpecification | None = None,
        adapter: Adapter | None = None,
    ) -> Session:
        """Opens a session for a model and a head; its parameters are loaded afterwards.

        Args:
            source: the model.
            head: what stands on top of it.
            workload: what the session will be fed.
            registry: where the code of encoder, head, objective and adapter is found.
            training: None for a session that only predicts.
            adapter: what is trained instead of weights of the encoder.

        Raises:
            UsageError: the backend has no code for the encoder, the head, the objective or the adapter.
            DeviceError: the device cannot be used.
        """
        return self.backend.open(
            SessionSpecification(
                config=source.family.config_for(source.config, head),
                head=head,
                table=with_adapter(source.family.parameter_table(source.config, head), adapter),
                device=self.device,
                precision=self.precision,
                prediction_precision=self.prediction_precision,
                workload=workload,
                code_of=partial(registry.code_of, self.backend.name),
                training=training,
                adapter=adapter,
                ranks=self.ranks,
                kernels=self.kernels,
            )
        )


def choose_target(config: RunConfig, registry: Registry, ranks: Ranks = ALONE) -> ComputeTarget:
    """Finds the backend and a device of this machine.

    Args:
        config: names both.
        registry: the plugins.
        ranks: which of several processes this one is; each gets a device of its own, where there are several.

    Raises:
        UsageError: no backend is named, or there is none of this name.
        DeviceError: the backend cannot run here, or the device or a precision is absent.
    """
    if config.backend is None:
        raise no_backend(registry)
    backend = registry.backend(config.backend)
    problem = backend.problem()
    if problem:
        raise DeviceError(*problem, code="backend-unusable")
    device = _choose_device(backend, config.run.device, ranks)
    kind = device.partition(":")[0]
    for precision in (config.run.precision, config.evaluate.precision):
        if precision not in backend.devices[kind]:
            raise DeviceError(
                f"{backend.name} on {kind} has no precision {precision}",
                f"it has {', '.join(backend.devices[kind])} (--precision)",
                code="precision-unknown",
            )
    return ComputeTarget(backend, device, config.run.precision, config.evaluate.precision, ranks, config.run.kernels)


def _choose_device(backend: Backend, wanted: str, ranks: Ranks) -> str:
    """The device that is wanted, or the first of its kind or of the best kind; of several ranks each has its own."""
    available = backend.available_devices()
    of_kind = available if wanted == "auto" else [name for name in available if name.partition(":")[0] == wanted]
    if wanted in available:
        return wanted
    if not of_kind:
        raise DeviceError(
            f"{backend.name} has no device {wanted!r} here",
            f"available: {', '.join(available)} (--device)",
            code="device-missing",
        )
    kind = of_kind[0].partition(":")[0]
    of_kind = [name for name in of_kind if name.partition(":")[0] == kind]
    if ranks.is_alone or kind == "cpu":
        return of_kind[0]
    if f"{kind}:{ranks.device}" not in of_kind:
        raise DeviceError(
            f"rank {ranks.rank} is to compute on {kind}:{ranks.device}, and this machine has {', '.join(of_kind)}",
            "start as many processes a machine as it has devices, or give --device cpu",
            code="device-missing",
        )
    return f"{kind}:{ranks.device}"
