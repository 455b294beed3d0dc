"""Which building blocks and precisions each kind of device gets: the one place that chooses.

PyTorch is imported inside the functions alone, so that the table can be read without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from bertcore.contracts.backend import KernelChoice, Precision
from bertcore.errors import DeviceError
from bertcore.numerics.kernels import chosen_kernels

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class DeviceKind:
    """The building blocks of one kind of device.

    Attributes:
        precisions: what training and prediction can be computed in.
        attention: ``buckets``: rows of similar length are padded together for the attention alone; ``nested``: one
            variable-length kernel over jagged tensors, no padding anywhere.
        masks: ``host``: dropout masks come from numpy, the same ones on every machine; ``device``: from the device's
            generator, seeded anew for every mask.
        fused_adamw: whether ``torch.optim.AdamW(fused=True)`` runs there.
        fused_layers: whether layers, masks and updates are computed by the kernels of :mod:`bertcore_torch.kernels`.
    """

    precisions: tuple[Precision, ...]
    attention: Literal["buckets", "nested"]
    masks: Literal["host", "device"]
    fused_adamw: bool
    fused_layers: bool = False


KINDS: Mapping[str, DeviceKind] = MappingProxyType(
    {
        "cuda": DeviceKind(("fp32", "bf16", "fp16"), attention="nested", masks="device", fused_adamw=True),
        "npu": DeviceKind(("fp32", "bf16", "fp16"), attention="buckets", masks="device", fused_adamw=False),
        "mps": DeviceKind(("fp32",), attention="buckets", masks="host", fused_adamw=True),
        "cpu": DeviceKind(("fp32", "bf16"), attention="buckets", masks="host", fused_adamw=True),
    }
)
"""Kind of device to its building blocks, the preferred kind first."""


def kind_of(device: torch.device, choice: KernelChoice) -> DeviceKind:
    """Returns the building blocks of a device, on a CPU by choice with the fused kernels, where these are."""
    kind = KINDS[device.type]
    fused = device.type == "cpu" and chosen_kernels(choice) is not None
    return replace(kind, fused_layers=True) if fused else kind


def available_devices() -> list[str]:
    """Devices of this machine, as ``cuda:0``, the preferred first."""
    return [device for kind in KINDS for device in _devices_of(kind)]


def resolve_device(name: str, precisions: tuple[Precision, ...]) -> torch.device:
    """Returns the device of that name.

    Args:
        name: as ``cpu``, ``cuda`` (its first) or ``cuda:1``.
        precisions: all that is to be computed in.

    Raises:
        DeviceError: the device is absent, or lacks a precision.
    """
    import torch

    kind, _, index = name.partition(":")
    if kind not in KINDS:
        remedy = f"choose one of {', '.join(KINDS)}"
        raise DeviceError(f"torch knows no device {name!r}", remedy, code="device-unknown")
    present = _devices_of(kind)
    full_name = f"{kind}:{index or 0}"
    if not present or (kind != "cpu" and full_name not in present):
        raise DeviceError(
            f"the device {name} is absent: torch {torch.__version__} finds {', '.join(available_devices())}",
            "choose one of these with --device",
            code="device-missing",
        )
    device = torch.device(kind) if kind == "cpu" else torch.device(full_name)
    for precision in precisions:
        if precision not in KINDS[kind].precisions or (precision == "bf16" and not _has_bf16(device)):
            raise DeviceError(
                f"the device {name} does not compute in {precision}",
                f"choose one of {', '.join(KINDS[kind].precisions)} with --precision",
                code="precision-unknown",
            )
    return device


def _devices_of(kind: str) -> list[str]:
    import torch

    if kind == "cpu":
        return ["cpu"]
    if kind == "mps":
        return ["mps:0"] if torch.backends.mps.is_available() else []
    if kind == "npu":
        if find_spec("torch_npu") is None:
            return []
        import torch_npu  # noqa: F401  (adds torch.npu)
    module = getattr(torch, kind)
    return [f"{kind}:{index}" for index in range(module.device_count())] if module.is_available() else []


def _has_bf16(device: torch.device) -> bool:
    import torch

    return device.type != "cuda" or torch.cuda.get_device_capability(device) >= (8, 0)
