"""Conformance of a backend: the contract of :mod:`bertcore.contracts.backend`, against the equations in numpy float64.

Everything is observed through the contract alone. One part a file:

    bench         the backend under test, with its sessions       samples     what it is fed
    facts         what it says about itself, and refuses          asserts     what is compared
    predictions   outputs and losses, in any order of rows
    gradients     of one micro-batch and of several
    updates       AdamW, clipping, and what is not finite
    freezing      of groups, for ever or until they begin
    averages      of the weights, with which it predicts
    resuming      parameters and optimizer state, out and in
    dropout       masks that depend on their place alone
    distillation  from a teacher's outputs in the batch
    passes        objectives of several passes: agreement, and moved embeddings
    adapters      what is trained beside frozen weights
"""

from __future__ import annotations

from bertcore.testing.backend_suite.adapters import Adapters
from bertcore.testing.backend_suite.averages import Averages
from bertcore.testing.backend_suite.distillation import Distillation
from bertcore.testing.backend_suite.dropout import Dropout
from bertcore.testing.backend_suite.facts import Facts
from bertcore.testing.backend_suite.freezing import Freezing
from bertcore.testing.backend_suite.gradients import Gradients
from bertcore.testing.backend_suite.passes import Passes
from bertcore.testing.backend_suite.predictions import Predictions
from bertcore.testing.backend_suite.resuming import Resuming
from bertcore.testing.backend_suite.updates import Updates


# pytest runs the tests of the last base first: what a backend says before what it computes.
class BackendConformance(
    Distillation, Adapters, Passes, Dropout, Resuming, Averages, Freezing, Updates, Gradients, Predictions, Facts
):
    """Subclass it in a test module of the plugin, and name the plugin as its entry point does.

    Attributes:
        plugin: value of the entry point, ``module`` or ``module:attribute``.
        backend: name of the backend, where the plugin registers several.
        device: device to test on; by default the backend's first.
        further_plugins: values of further entry points, as that of a plugin with a head of your own for the backend.
        heads: the descriptions of heads that are tested, by the names of their references; by default all of bertcore
            and those that the plugins register.
        kernels: ``fused`` ones on a CPU, where these are, or ``reference``, the framework's own operators alone.
        gaps: what the backend does not do, each with its reason (:mod:`bertcore.testing.gaps`): by the name of a head
            (``classification``, ``multi-label``, ``regression``, ``token``, ``crf``, ``span``), ``dropout``,
            ``passes``, ``adapters``, or the name of a test.
        forward_tolerance: largest absolute difference of an output, or of a row's loss, from the reference.
        gradient_tolerance: largest norm of a gradient's difference from the reference, as a part of the tensor's
            own norm and as a part of the norm of all gradients (the gradient of a key's bias is zero up to noise).
        accumulation_tolerance: the same between one batch and several, as a part of both norms together.
        update_tolerance: largest relative difference of an updated value from the reference.
        low_precision_tolerance: largest absolute difference of an output in bf16 or fp16.
    """
