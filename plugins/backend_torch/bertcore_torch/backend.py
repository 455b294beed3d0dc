"""The PyTorch backend: what it can do, readable without PyTorch, and what it finds on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from bertcore.contracts.backend import Backend, CheckResult, KernelChoice, Precision, Session, SessionSpecification
from bertcore.contracts.ranks import Ranks
from numpy.typing import NDArray

from bertcore_torch.devices import KINDS, available_devices, resolve_device

OLDEST_TORCH = (2, 6)


class TorchBackend(Backend):
    """BERT on PyTorch, packed so that no padding enters a linear layer."""

    name: ClassVar[str] = "torch"
    description: ClassVar[str] = "PyTorch, packed rows without padding"
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    devices: ClassVar[Mapping[str, tuple[Precision, ...]]] = {kind: KINDS[kind].precisions for kind in KINDS}
    weight_file: ClassVar[tuple[str, str]] = ("best_model.pt", "huggingface")

    def problem(self) -> tuple[str, str] | None:
        """Says why PyTorch cannot be used here, and what to install, or returns None."""
        remedy = "pip install 'bertcore[torch]'"
        try:
            import torch
        except ImportError as error:
            return f"PyTorch cannot be imported: {error}", remedy
        version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
        if version < OLDEST_TORCH:
            return f"PyTorch {torch.__version__} is too old: bertcore needs 2.6", remedy
        return None

    def versions(self) -> dict[str, str]:
        """Versions of PyTorch, numpy and, where they are there, CUDA and torch_npu."""
        import numpy
        import torch

        versions = {"torch": torch.__version__, "numpy": numpy.__version__}
        if torch.version.cuda is not None:
            versions["cuda"] = torch.version.cuda
        if "npu:0" in available_devices():
            import torch_npu

            versions["torch_npu"] = torch_npu.__version__
        return versions

    def available_devices(self) -> list[str]:
        """Devices of this machine, as ``cuda:0``, best first."""
        return available_devices()

    def check(self, device: str) -> CheckResult:
        """Computes a small linear layer, its GELU and their gradient, and compares with numpy in float64."""
        from math import erf, exp, pi, sqrt

        import numpy as np
        import torch

        operation = "gelu(x @ w) and its gradient"
        generator = np.random.default_rng(0)
        x, w = generator.normal(size=(5, 16)), generator.normal(size=(16, 7)) / 4
        try:
            place = resolve_device(device, ("fp32",))
            weight = torch.tensor(w, dtype=torch.float32, device=place, requires_grad=True)
            result = torch.nn.functional.gelu(torch.tensor(x, dtype=torch.float32, device=place) @ weight)
            result.sum().backward()
            assert weight.grad is not None
            computed = [result.detach().cpu().numpy(), weight.grad.cpu().numpy()]
        except Exception as error:
            return CheckResult(operation, False, f"{type(error).__name__}: {error}")
        z = x @ w
        normal = np.vectorize(lambda value: (1 + erf(value / sqrt(2))) / 2)(z)
        density = np.vectorize(lambda value: exp(-value * value / 2) / sqrt(2 * pi))(z)
        expected = [z * normal, x.T @ (normal + z * density)]
        difference = max(float(np.abs(a - b).max()) for a, b in zip(computed, expected, strict=True))
        return CheckResult(operation, difference < 1e-4, f"largest difference from numpy {difference:.1e}")

    def describe_kernels(self, device: str, choice: KernelChoice) -> str | None:
        """Which kernels a session computes with, where there is a choice: on a CPU."""
        from bertcore.numerics.kernels import describe_kernels

        return describe_kernels(choice) if device.partition(":")[0] == "cpu" else None

    def sum_over_ranks(self, ranks: Ranks, device: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Adds up an array over all ranks."""
        import torch

        from bertcore_torch.ranks import join

        place = resolve_device(device, ("fp32",))
        communicator = join(ranks, place)
        if communicator is None:
            return values
        tensor = torch.from_numpy(values.copy()).to(place)
        communicator.sum([tensor])
        total: NDArray[np.float32] = tensor.cpu().numpy()
        return total

    def open(self, specification: SessionSpecification) -> Session:
        """Opens a session.

        Raises:
            DeviceError: the device or the precision is absent.
        """
        from bertcore_torch.session import TorchSession

        return TorchSession(specification)
