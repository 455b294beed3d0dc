"""The backend and device of a run, and a session there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bertcore.config import RunConfig
from bertcore.contracts.backend import (
    Backend,
    Precision,
    Session,
    SessionSpecification,
    TrainingSpecification,
    Workload,
)
from bertcore.contracts.head import Head
from bertcore.engine.backend_choice import no_backend
from bertcore.errors import DeviceError
from bertcore.plugins.registry import Registry
from bertcore.weights.opening import ModelSource


@dataclass(frozen=True)
class Place:
    """Where it is computed."""

    backend: Backend
    device: str

    def describe(self) -> str:
        """Backend with the version of its framework."""
        versions = self.backend.versions()
        return ", ".join([self.backend.name, *(f"{name} {version}" for name, version in versions.items())])


def choose_place(config: RunConfig, registry: Registry) -> Place:
    """Finds the backend and a device of this machine.

    Raises:
        UsageError: no backend is named, or there is none of this name.
        DeviceError: the backend cannot run here, or the device or a precision is absent.
    """
    if config.backend is None:
        raise no_backend(registry)
    backend = registry.backend(config.backend)
    problem = backend.problem()
    if problem:
        raise DeviceError(*problem)
    available = backend.available_devices()
    device = config.run.device
    if device == "auto":
        device = available[0]
    elif device not in available:
        same_kind = [name for name in available if name.partition(":")[0] == device]
        if not same_kind:
            raise DeviceError(
                f"{backend.name} has no device {device!r} here", f"available: {', '.join(available)} (--device)"
            )
        device = same_kind[0]
    kind = device.partition(":")[0]
    for precision in (config.run.precision, config.evaluate.precision):
        if precision not in backend.devices[kind]:
            raise DeviceError(
                f"{backend.name} on {kind} has no precision {precision}",
                f"it has {', '.join(backend.devices[kind])} (--precision)",
            )
    return Place(backend, device)


def open_session(
    place: Place,
    source: ModelSource,
    head: Head,
    config: RunConfig,
    registry: Registry,
    *,
    training: TrainingSpecification | None,
    training_lengths: np.ndarray[tuple[int], np.dtype[np.int64]] | None,
    prediction_lengths: np.ndarray[tuple[int], np.dtype[np.int64]] | None,
    max_length: int,
) -> Session:
    """Opens a session of the backend for a model and a head.

    Raises:
        UsageError: the backend has no code for the head or the objective.
        DeviceError: the device cannot be used.
    """
    nothing = np.zeros(0, dtype=np.int64)
    objective_implementation = ""
    if training is not None:
        options = config.train.objective_options
        _, objective_implementation = registry.objective(training.objective.name, options, place.backend.name)
    precision: Precision = config.run.precision
    return place.backend.open(
        SessionSpecification(
            config=source.config,
            head=head,
            table=source.family.parameter_table(source.config, head),
            device=place.device,
            precision=precision,
            prediction_precision=config.evaluate.precision,
            workload=Workload(
                training_lengths=nothing if training_lengths is None else training_lengths,
                prediction_lengths=nothing if prediction_lengths is None else prediction_lengths,
                batch_size=config.train.batch_size,
                prediction_batch_size=config.evaluate.batch_size,
                max_length=max_length,
            ),
            training=training,
            head_implementation=registry.head_implementation(head, place.backend.name),
            objective_implementation=objective_implementation,
        )
    )
