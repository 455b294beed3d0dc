"""The conditional random field (:mod:`bertcore.numerics.crf`) on torch.

    layer       the module that the head uses: parameters, losses with their gradients, best tags
    sequences   which label positions make up the sequence of each row
    host        on a CPU: the core computes it, by the compiled kernels or numpy
    tree, doubling, decoding
                on an accelerator: in a number of steps that grows with the logarithm of the length, for a device
                should not be asked for a few small kernels per position

The modules are those of ``bertcore_mindspore.crf``.
"""

from bertcore_torch.crf.decoding import decode_by_doubling as decode_by_doubling
from bertcore_torch.crf.doubling import losses_by_doubling as losses_by_doubling
from bertcore_torch.crf.host import decode_on_host as decode_on_host
from bertcore_torch.crf.host import losses_on_host as losses_on_host
from bertcore_torch.crf.layer import ConditionalRandomField as ConditionalRandomField
from bertcore_torch.crf.sequences import Sequences as Sequences
