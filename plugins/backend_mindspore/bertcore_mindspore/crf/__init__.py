"""The conditional random field (:mod:`bertcore.numerics.crf`) on MindSpore.

    layer       the cell that the head uses: parameters, losses with their gradients, best tags
    sequences   which label positions make up the sequence of each row
    host        on a CPU: the core computes it, by the compiled kernels or numpy
    tree, doubling, decoding
                on an accelerator: in a number of steps that grows with the logarithm of the length

The modules are those of ``bertcore_torch.crf``.
"""

from bertcore_mindspore.crf.layer import ConditionalRandomField as ConditionalRandomField
from bertcore_mindspore.crf.sequences import COLUMN_NAMES as COLUMN_NAMES
from bertcore_mindspore.crf.sequences import columns as columns
