"""The weight converters ``bert4torch`` and ``bert4torch_0_3``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.converter import WeightConverter


@hookimpl
def bertcore_register_converters() -> list[WeightConverter]:
    """bert4torch's weight files, by the names of its releases."""
    from bertcore.converters.bert4torch import Bert4TorchConverter, OldBert4TorchConverter

    return [Bert4TorchConverter(), OldBert4TorchConverter()]
