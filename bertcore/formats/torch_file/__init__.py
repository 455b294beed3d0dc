"""Files of `torch.save`, read and written without torch.

Since torch 1.6 a file is a zip archive that compresses nothing:

    NAME/data.pkl      the nested object as a pickle, in which each storage is a persistent id:
                       ("storage", torch.FloatStorage, KEY, "cpu", COUNT)
    NAME/byteorder     little or big (since torch 2.1)
    NAME/data/KEY      the bytes of one storage, which several tensors may share (`zip_archive`)
    NAME/version

Before, it was a row of pickles with the bytes behind them (`legacy`). In both, a tensor is a call in the pickle,
`_rebuild_tensor_v2(storage, offset, shape, strides, ...)`: a window on a storage (`tensors`). The pickle is never run:
see `restricted_pickle`.

Reference implementation: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py.
"""

from __future__ import annotations

from bertcore.formats.torch_file.reading import is_torch_file, read_torch_file
from bertcore.formats.torch_file.tensors import refused
from bertcore.formats.torch_file.writing import write_torch_file

__all__ = ["is_torch_file", "read_torch_file", "refused", "write_torch_file"]
