"""Values into the memory that compiled graphs hold, and out of it."""

from __future__ import annotations

import numpy as np
from mindspore import Parameter, Tensor, ops
from numpy.typing import NDArray


def copy_into(parameter: Parameter, values: NDArray[np.generic]) -> None:
    """Writes values into the memory that compiled graphs hold; ``set_data`` would part the two."""
    ops.assign(parameter, Tensor(np.asarray(values, dtype=np.float32, order="C")))


def to_numpy(parameter: Parameter) -> NDArray[np.float32]:
    """Returns a copy of a parameter's values."""
    return np.array(parameter.asnumpy(), dtype=np.float32)
