"""What each kind of device computes with: the one place where CPU, GPU and Ascend differ.

A CPU has no fused attention and slow kernels for GeLU, LayerNorm's and softmax's gradient and every broadcast, so its
blocks are composed of the kernels that are fast there. An accelerator wants the opposite: the fused primitives.
Only the CPU's row was run; the others are exercised by tests with a stand-in for the device.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Literal

from bertcore.contracts.backend import KernelChoice, Precision
from bertcore.errors import DeviceError


@dataclass(frozen=True)
class DeviceKind:
    """One row of the table.

    Attributes:
        target: the name that ``mindspore.set_device`` knows.
        precisions: what training and prediction may compute in.
        jit_level: ``O0`` runs the operators one by one, ``O1`` fuses elementwise chains.
        attention: name of the class in ``attention.py`` that computes it.
        layer_norm: the same for LayerNorm, in ``normalization.py``.
        gelu: the same for the exact GeLU, in ``activation.py``.
        wide_dtype: what the few numbers of a pooler, a softmax over labels, a loss and a norm are computed in. In
            float32 the CPU's kernels of exp and log err by up to 1e-5 and tanh by 1e-4; float64 costs nothing here.
        layer: name of the class in ``encoder.py`` that is a layer.
        products: what computes those of the layers: MindSpore's ``operator``, or the kernel; ``rounded``: the kernel
            with inputs rounded to bfloat16, while all else is float32, which is what bf16 is on a CPU.
        crf: where a conditional random field is computed: by the core on the host, called from the graph, or in the
            graph in a number of operations that grows with the logarithm of the length.
    """

    target: str
    precisions: tuple[Precision, ...]
    jit_level: str
    attention: str
    layer_norm: str
    gelu: str
    wide_dtype: Literal["float32", "float64"]
    crf: Literal["host", "graph"]
    layer: Literal["Layer", "FusedLayer"] = "Layer"
    products: Literal["operator", "kernel", "rounded"] = "operator"

    @property
    def fused(self) -> bool:
        """Whether the kernels of ``bertcore_kernels`` compute."""
        return self.layer == "FusedLayer"

    def for_precision(self, precision: Precision) -> DeviceKind:
        """The row with which a model of a precision is built."""
        return replace(self, products="rounded") if self.target == "CPU" and precision == "bf16" else self


DEVICES: Mapping[str, DeviceKind] = {
    "ascend": DeviceKind(
        "Ascend", ("fp32", "bf16", "fp16"), "O1", "FlashAttention", "FusedLayerNorm", "FusedGelu", "float32", "graph"
    ),
    "gpu": DeviceKind(
        "GPU", ("fp32", "fp16"), "O1", "ComposedAttention", "FusedLayerNorm", "FusedGelu", "float32", "graph"
    ),
    "cpu": DeviceKind(
        "CPU", ("fp32", "bf16"), "O0", "ComposedAttention", "ComposedLayerNorm", "ComposedGelu", "float64", "host"
    ),
}


def quiet_framework() -> None:
    """Sets the environment that MindSpore reads when it is imported, where the user has not."""
    # Level 3 is errors only. The compile cache matches graphs by the order of compilation and may return another
    # graph's result, so it stays off whatever the environment says.
    if os.environ.setdefault("GLOG_v", "3") == "3":
        # What tells of connections between ranks does not ask for that level; glog's own counts errors as 2.
        os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ["MS_COMPILER_CACHE_ENABLE"] = "0"
    # The threads of a fused kernel sleep while others compute, and do not wait in a loop; read when OpenMP is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def split_device(device: str) -> tuple[str, int]:
    """Splits ``ascend:1`` into the kind and the index, 0 where there is none.

    Raises:
        DeviceError: the kind is unknown or the index no number.
    """
    kind, _, index = device.partition(":")
    if kind not in DEVICES or not (index.isdigit() or index == ""):
        remedy = f"choose one of {', '.join(DEVICES)}"
        raise DeviceError(f"the backend mindspore knows no device {device!r}", remedy, code="device-unknown")
    return kind, int(index or 0)


def available_devices(mindspore: ModuleType) -> list[str]:
    """Devices of this machine, best first."""
    found = []
    for kind, row in DEVICES.items():
        if mindspore.hal.is_available(row.target):
            count = mindspore.hal.device_count(row.target)
            found.extend([kind] if kind == "cpu" else [f"{kind}:{index}" for index in range(count)])
    return found


def check_device(mindspore: ModuleType, device: str, *precisions: Precision) -> DeviceKind:
    """Returns the row of the table for a device that this machine has.

    Raises:
        DeviceError: the device is absent, or lacks one of the precisions.
    """
    kind, index = split_device(device)
    row = DEVICES[kind]
    if not mindspore.hal.is_available(row.target) or index >= mindspore.hal.device_count(row.target):
        raise DeviceError(
            f"MindSpore {mindspore.__version__} finds no device {device} here",
            f"choose one of {', '.join(available_devices(mindspore))}",
            code="device-missing",
        )
    for precision in precisions:
        if precision not in row.precisions:
            raise DeviceError(
                f"MindSpore has no {precision} on {kind}",
                f"set the precision to one of {', '.join(row.precisions)}",
                code="precision-unknown",
            )
    return row


def with_kernels(row: DeviceKind, choice: KernelChoice, *precisions: Precision) -> DeviceKind:
    """Returns the row with the blocks of a CPU that has the kernels of ``bertcore_kernels``, where they are chosen.

    Raises:
        DeviceError: bf16 is asked for, and they are absent, or the oneDNN that they take products from.
    """
    if row.target != "CPU":
        return row
    from bertcore.numerics.kernels import chosen_kernels, describe_kernels

    missing = f"the fused kernels, and here it computes with {describe_kernels(choice)}"
    if chosen_kernels(choice) is not None:
        from bertcore_mindspore.kernels import use_products_of_mindspore

        row = replace(row, layer="FusedLayer")
        if use_products_of_mindspore():
            return replace(row, products="kernel")
        missing = "oneDNN, which this MindSpore does not bring"
    if "bf16" in precisions:
        raise DeviceError(
            f"MindSpore has no bf16 on cpu but with {missing}", "set the precision to fp32", code="precision-unknown"
        )
    return row


def configure(mindspore: ModuleType, device: str, *, one_thread: bool = False) -> None:
    """Selects a device for this process; threads are set once, before the first operation.

    Where kernels with threads of their own compute all that is large, products too, MindSpore is given one: its further
    threads would ask for work in a loop, on cores that the kernels need.

    A process that has run an operation must not fork: the child hangs. bertcore starts its workers by spawning.
    """
    global _configured
    if _configured == device:
        return
    kind, index = split_device(device)
    if _configured is not None:
        raise DeviceError(
            f"this process already computes on {_configured}, MindSpore cannot change to {device}",
            "start a process of its own for the other device",
            code="device-fixed",
        )
    row = DEVICES[kind]
    if kind == "cpu":
        # Otherwise a graph is run by a thread of its own, for which the caller waits in a loop: that takes a core from
        # the operators, and on two cores a step took more than twice as long. MindSpore reads this at its first graph.
        os.environ.setdefault("MS_DEV_HOST_BLOCKING_RUN", "1")
        mindspore.set_device(row.target)
        # One thread that dispatches and all cores inside an operator: half the time of a product in other settings.
        mindspore.runtime.dispatch_threads_num(1)
        mindspore.device_context.cpu.op_tuning.threads_num(1 if one_thread else _threads())
    else:
        mindspore.set_device(row.target, index)
    _configured = device


def _threads() -> int:
    # The variable by which torch and numpy are told; MindSpore does not read it.
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    # Only Linux says which cores this process may use.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_configured: str | None = None
