"""The weight converter ``bert4torch_0_3``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.converter import WeightConverter


@hookimpl
def bertcore_register_converters() -> list[WeightConverter]:
    """bert4torch's weight files, by the names up to release 0.3.5."""
    from bertcore.weights.converters.bert4torch import OldBert4TorchConverter

    return [OldBert4TorchConverter()]
