"""Objectives: frozen descriptions of what a training step minimizes.

The head's own loss is taken over one pass of the model or over several, which is all that R-Drop and adversarial
training need:

    one pass    HeadLoss()
    R-Drop      HeadLoss((Pass(0), Pass(1)), agreement=4.0)
    FGM         HeadLoss((Pass(0), Pass(1, perturbed=1.0)))
    PGD         HeadLoss((Pass(0), Pass(1, 0.3, 0.0, 1.0), Pass(2, 0.3, 0.0, 1.0), Pass(3, 0.3, 1.0, 1.0)))
    both        HeadLoss((Pass(0), Pass(1), Pass(2, perturbed=1.0)), agreement=4.0)
    a teacher   HeadLoss(distillation=0.5, temperature=2.0)

An objective that minimizes anything else is a description of its own, with an
:class:`~bertcore.contracts.implementations.Implementation` for each backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from bertcore.contracts.batch import Batch, Per
from bertcore.contracts.head import Head

TEACHER = "teacher_"
"""Before the name of an output, the column of a batch that holds what a teacher gave there."""


@dataclass(frozen=True)
class Pass:
    """One pass of the model over the rows of a step.

    Attributes:
        dropout: which masks; passes of the same number have the same ones.
        perturbed: how far the word embeddings are moved before it, along their gradient in the pass before; 0 leaves
            them as the model has them, and the pass is *clean*.
        weight: factor of the head's loss; 0 of a perturbed pass that only shows the way to the next one.
        radius: a perturbed pass lies no further than this from the model's own embeddings; None for as far as it goes.
    """

    dropout: int = 0
    perturbed: float = 0.0
    weight: float = 1.0
    radius: float | None = None


@dataclass(frozen=True)
class Objective:
    """Base of all objectives; a subclass is a frozen dataclass whose fields are its options (all with defaults)."""

    kind: ClassVar[str] = "objective"
    name: ClassVar[str]
    keeps_tokens: ClassVar[bool] = False
    """Whether its code shows the model the tokens of the batch and no others, as that of a masked language model does:
    only then ranks can add up the gradient of the word embeddings for these tokens alone."""

    @property
    def clean(self) -> Objective:
        """The objective without its perturbed passes."""
        return self

    @property
    def perturbed_passes(self) -> tuple[Pass, ...]:
        """Passes that follow one another after those of :attr:`clean`, with the head's loss."""
        return ()

    def columns(self, head: Head) -> Mapping[str, Per]:
        """Columns of a batch that it reads beside those of the head, float32, and what one value belongs to."""
        return {}

    def loss_count(self, head: Head, batch: Batch) -> float:
        """Number of things that the loss of a batch sums over; by default the head's own count."""
        return head.loss_count(batch)


@dataclass(frozen=True)
class HeadLoss(Objective):
    """The head's own loss, over one pass or several: the sum of ``weight`` times the loss of each.

    **Agreement** is that of R-Drop (Liang et al. 2021, arXiv 2106.14448, its loss with its alpha): for two clean
    passes with outputs P and Q, ``agreement * (KL(P || Q) + KL(Q || P)) / 2`` is added; for more of them, the mean over
    all pairs. What KL is of other outputs than a softmax, the heads' code says (``divergence``).

    **Distillation** (Hinton et al. 2015, arXiv 1503.02531) takes ``(1 - distillation) * loss + distillation *
    temperature^2 * KL(teacher || outputs)`` for the head's loss of each clean pass, both logits divided by the
    temperature. The teacher's outputs stand in columns of the batch, see :data:`TEACHER`.

    **A perturbed pass** (FGM: Miyato et al. 2017, arXiv 1605.07725; PGD: Madry et al. 2018, arXiv 1706.06083) moves the
    word embeddings as bert4torch's ``FGM`` and ``PGD`` do: the whole table, so that equal tokens are moved alike, by
    ``perturbed * g / |g|``, g being the gradient of the pass before (of all clean ones together) with respect to the
    table and ``|g|`` its norm over all rows. It starts where the pass before it stood, and what lies beyond ``radius``
    is drawn back to it, as PGD projects. The papers move each row of the batch for itself.

    The rows are those of the whole step: one whose micro-batches are joined is the same step. (bert4torch perturbs each
    micro-batch, along the gradient that has been added up until then; without accumulation this is the same.)

    Attributes:
        passes: the clean ones first.
        agreement: weight of the symmetric divergence between the outputs of the clean passes.
        distillation: weight of the teacher, 0 to 1.
        temperature: of distillation; it flattens both distributions.

    Raises:
        ValueError: the first pass is not clean, a clean one stands behind a perturbed one, or there are not two that
            could agree.
    """

    passes: tuple[Pass, ...] = (Pass(),)
    agreement: float = 0.0
    distillation: float = 0.0
    temperature: float = 1.0

    name: ClassVar[str] = "head_loss"
    keeps_tokens: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.clean_passes or self.passes[: len(self.clean_passes)] != self.clean_passes:
            raise ValueError("clean passes come first, and there is one at least")
        if self.agreement and len(self.clean_passes) < 2:
            raise ValueError("one clean pass has none to agree with")

    def columns(self, head: Head) -> Mapping[str, Per]:
        """Those of the teacher, if there is one."""
        if not self.distillation:
            return {}
        return {f"{TEACHER}{name}": head.outputs[name] for name in head.compared_outputs}

    @property
    def clean(self) -> HeadLoss:  # noqa: D102
        return replace(self, passes=self.clean_passes)

    @property
    def clean_passes(self) -> tuple[Pass, ...]:
        """Those at the embeddings as the model has them; their gradient is one."""
        return tuple(one for one in self.passes if not one.perturbed)

    @property
    def perturbed_passes(self) -> tuple[Pass, ...]:
        """Those at moved embeddings, one after the other."""
        return tuple(one for one in self.passes if one.perturbed)
