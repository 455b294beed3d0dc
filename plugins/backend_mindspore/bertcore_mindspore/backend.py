"""The backend ``mindspore``: what it can do, told without importing MindSpore, and how a session is opened."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.backend import Backend, CheckResult, KernelChoice, Precision, Session, SessionSpecification
from bertcore.contracts.ranks import Ranks
from bertcore.errors import DeviceError
from bertcore_mindspore import devices


class MindSporeBackend(Backend):
    """MindSpore in graph mode, on a CPU, a GPU or an Ascend processor."""

    name = "mindspore"
    description = "MindSpore in graph mode, with a declared budget of compiled shapes"
    packages = ("mindspore",)
    devices: ClassVar[Mapping[str, tuple[Precision, ...]]] = {
        kind: row.precisions for kind, row in devices.DEVICES.items()
    }
    weight_file = ("best_model.ckpt", "mindspore_ckpt")

    def problem(self) -> tuple[str, str] | None:  # noqa: D102
        try:
            numpy_version = version("numpy")
            version("mindspore")
        except PackageNotFoundError as error:
            return f"{error.name or error} is not installed", "pip install 'bertcore-mindspore'"
        if int(numpy_version.split(".")[0]) >= 2:
            return f"MindSpore does not run with numpy {numpy_version}", "pip install 'numpy<2'"
        devices.quiet_framework()
        try:
            import mindspore  # noqa: F401
        except Exception as error:
            return f"MindSpore cannot be imported: {type(error).__name__}: {error}".splitlines()[0], (
                "pip install --force-reinstall 'mindspore==2.10.*'"
            )
        return None

    def versions(self) -> dict[str, str]:  # noqa: D102
        return {"mindspore": version("mindspore"), "numpy": version("numpy")}

    def available_devices(self) -> list[str]:  # noqa: D102
        self._refuse_problem()
        import mindspore

        return devices.available_devices(mindspore)

    def check(self, device: str) -> CheckResult:  # noqa: D102
        operation = "LayerNorm of a product of matrices"
        try:
            self._refuse_problem()
            import mindspore

            devices.check_device(mindspore, device)
            devices.configure(mindspore, device)
            from bertcore_mindspore.normalization import check_block

            difference = check_block(device)
        except Exception as error:
            return CheckResult(operation, False, f"{type(error).__name__}: {error}".splitlines()[0])
        return CheckResult(operation, difference < 1e-4, f"largest difference from numpy {difference:.1e}")

    def describe_kernels(self, device: str, choice: KernelChoice) -> str | None:  # noqa: D102
        from bertcore.numerics.kernels import describe_kernels

        return describe_kernels(choice) if device.partition(":")[0] == "cpu" else None

    def sum_over_ranks(  # noqa: D102
        self, ranks: Ranks, device: str, values: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        self._refuse_problem()
        import mindspore

        row = devices.check_device(mindspore, device)
        devices.configure(mindspore, device)
        from bertcore_mindspore.ranks import join

        communicator = join(ranks, row.target)
        return values if communicator is None else communicator.sum(values)

    def open(self, specification: SessionSpecification) -> Session:  # noqa: D102
        self._refuse_problem()
        import mindspore

        row = devices.check_device(
            mindspore, specification.device, specification.precision, specification.prediction_precision
        )
        row = devices.with_kernels(
            row, specification.kernels, specification.precision, specification.prediction_precision
        )
        devices.configure(mindspore, specification.device, one_thread=row.products != "operator")
        from bertcore_mindspore.session import MindSporeSession

        return MindSporeSession(specification, row)

    def _refuse_problem(self) -> None:
        problem = self.problem()
        if problem is not None:
            raise DeviceError(*problem, code="backend-unusable")
