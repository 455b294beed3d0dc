"""The graphs that are compiled for each static shape: one that adds a gradient, and one that predicts.

A call of either takes its arrays one by one and in a fixed order, since a compiled graph knows positions and no names:
those of ``rows.INPUT_NAMES``, the head's columns, and for the gradient the dropout masks; inside, they have their names
again. Between gradient and update, which is :mod:`bertcore_mindspore.optimizer`'s, stands a graph that adds up the
gradients of several ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mindspore
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from bertcore_mindspore.objectives import Forward
from bertcore_mindspore.optimizer import AdamW
from bertcore_mindspore.rows import INPUT_NAMES

_add_to = ops.MultitypeFuncGraph("add_to")
_add_part_to = ops.MultitypeFuncGraph("add_part_to")
_flat = ops.MultitypeFuncGraph("flat")
_set_to = ops.MultitypeFuncGraph("set_to")


@_add_to.register("Tensor", "Tensor")
def _add_tensor_to(accumulator: Tensor, value: Tensor) -> Tensor:
    return ops.assign_add(accumulator, value)


@_add_part_to.register("Tensor", "Tensor", "Tensor")
def _add_part_of_tensor_to(part: Tensor, accumulator: Tensor, value: Tensor) -> Tensor:
    return ops.assign_add(accumulator, value * part)


@_flat.register("Tensor")
def _flat_tensor(accumulator: Tensor) -> Tensor:
    return ops.reshape(accumulator, (-1,))


@_set_to.register("Tensor", "Tensor")
def _set_tensor_to(accumulator: Tensor, values: Tensor) -> Tensor:
    return ops.assign(accumulator, ops.reshape(values, accumulator.shape))


class GradientGraph(nn.Cell):
    """Adds the gradient of one call's loss sum, and the loss sum, to their accumulators."""

    def __init__(
        self,
        forward: Forward,
        objective: nn.Cell,
        word_embeddings: Parameter,
        parameters: Mapping[str, Parameter],
        optimizer: AdamW,
        word_embeddings_name: str,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.forward = forward
        self.objective = objective
        self.word_embeddings = word_embeddings
        accumulators = dict(zip(optimizer.trained, optimizer.gradients, strict=True))
        # The table's gradient touches only the rows of the call: it is added row by row, not as a whole table.
        self.trains_words = word_embeddings_name in accumulators
        self.word_accumulator = accumulators.pop(word_embeddings_name, word_embeddings)
        self.accumulators = ParameterTuple(list(accumulators.values()))
        self.loss_sum = optimizer.loss_sum
        self.names = (*INPUT_NAMES, *forward.column_names)
        self.gather = ops.Gather()
        self.add = ops.AssignAdd()
        self.map = ops.HyperMap()
        self.scatter_add = ops.ScatterAdd()
        self.value_and_grad = mindspore.value_and_grad(
            self.scaled_loss, 0, ParameterTuple([parameters[name] for name in accumulators])
        )

    def scaled_loss(self, word_vectors: Tensor, loss_scale: Tensor, *inputs: Tensor) -> Tensor:
        """Returns the loss sum of a call, times the loss scale."""
        batch = {"word_vectors": word_vectors, "masks": inputs[len(self.names) :]}
        for index in range(len(self.names)):
            batch[self.names[index]] = inputs[index]
        return self.objective.loss_sum(self.forward, batch) * loss_scale

    def construct(self, loss_scale: Tensor, *inputs: Tensor) -> Tensor:
        """Takes the arrays of ``INPUT_NAMES``, the head's columns and the masks."""
        word_vectors = self.gather(self.word_embeddings, inputs[0], 0)
        loss, gradients = self.value_and_grad(word_vectors, loss_scale, *inputs)
        if self.trains_words:
            self.scatter_add(self.word_accumulator, inputs[0], gradients[0])
        self.map(_add_to, self.accumulators, gradients[1])
        self.add(self.loss_sum, loss)
        return loss


class MovedGradientGraph(GradientGraph):
    """The same at word embeddings that are moved, for an objective with perturbed passes; gives their gradient, too."""

    def __init__(self, *arguments: Any, always_kept: bool) -> None:
        super().__init__(*arguments)
        self.always_kept = always_kept
        self.partial = ops.Partial()

    def construct(self, loss_scale: Tensor, kept: Tensor, offset: Tensor, *inputs: Tensor) -> Tensor:
        """As its parent.

        Args:
            loss_scale: times the loss.
            kept: 1, or 0 for a pass of which only the gradient of the word vectors is wanted.
            offset: added to the word vectors, ``[tokens, embedding width]``.
            inputs: the arrays of the call.

        Returns:
            The gradient of the word vectors, ``[tokens, embedding width]``.
        """
        word_vectors = self.gather(self.word_embeddings, inputs[0], 0) + offset
        loss, gradients = self.value_and_grad(word_vectors, loss_scale, *inputs)
        of_words, others = gradients
        if self.trains_words:
            self.scatter_add(self.word_accumulator, inputs[0], of_words if self.always_kept else of_words * kept)
        if self.always_kept:
            self.map(_add_to, self.accumulators, others)
        else:
            self.map(self.partial(_add_part_to, kept), self.accumulators, others)
        self.add(self.loss_sum, loss * kept)
        return of_words


class SumGraph(nn.Cell):
    """Adds up the accumulated gradients and loss sums of all ranks, in one message.

    ::

        accumulators    query.weight | key.weight | ... | rows of the step's ids | loss sum | wishes to stop
                        |<- flat, one AllReduce ------------------------------------------------------------>|

    Args:
        optimizer: whose accumulators they are.
        word_embeddings: canonical name of the table of which only the rows of a step have a gradient; None where
            others may have one.
    """

    def __init__(self, optimizer: AdamW, word_embeddings: str | None) -> None:
        super().__init__(auto_prefix=False)
        accumulators = dict(zip(optimizer.trained, optimizer.gradients, strict=True))
        self.has_words = word_embeddings in accumulators
        self.words = accumulators.pop(word_embeddings) if self.has_words else optimizer.loss_sum
        self.accumulators = ParameterTuple(list(accumulators.values()))
        self.loss_sum = optimizer.loss_sum
        self.sizes = tuple(int(accumulator.size) for accumulator in accumulators.values())
        self.count = len(self.sizes)
        self.width = int(self.words.shape[-1]) if self.has_words else 0
        self.all_reduce = ops.AllReduce()
        self.concat = ops.Concat()
        # Not ops.split, which is a loop: see optimizer.py.
        self.split = ops.auto_generate.SplitWithSize()
        self.map = ops.HyperMap()
        self.reshape = ops.Reshape()
        self.assign = ops.Assign()
        self.gather = ops.Gather()
        self.scatter_update = ops.ScatterUpdate()

    def construct(self, wish: Tensor, ids: Tensor) -> Tensor:
        """Leaves the sums in the accumulators of every rank.

        Args:
            wish: 1 where this rank was asked to end, 0 else, ``[1]``.
            ids: of all rows of all ranks; one may occur more than once.

        Returns:
            How many ranks were asked to end, ``[1]``.
        """
        parts = self.map(_flat, self.accumulators)
        if self.has_words:
            parts = (*parts, self.reshape(self.gather(self.words, ids, 0), (-1,)))
        parts = (*parts, self.reshape(self.loss_sum, (1,)), wish)
        of_words = ids.shape[0] * self.width
        sizes = (*self.sizes, of_words, 1, 1) if self.has_words else (*self.sizes, 1, 1)
        sums = self.split(self.all_reduce(self.concat(parts)), sizes, 0)
        self.map(_set_to, self.accumulators, sums[: self.count])
        if self.has_words:
            self.scatter_update(self.words, ids, self.reshape(sums[-3], (-1, self.width)))
        self.assign(self.loss_sum, self.reshape(sums[-2], ()))
        return sums[-1]


class PredictionGraph(nn.Cell):
    """The head's outputs and losses of one call."""

    def __init__(self, forward: Forward, word_embeddings: Parameter, outputs: tuple[str, ...]) -> None:
        super().__init__(auto_prefix=False)
        self.forward = forward
        self.word_embeddings = word_embeddings
        self.outputs = outputs
        self.names = (*INPUT_NAMES, *forward.column_names)
        self.gather = ops.Gather()

    def construct(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Takes the arrays of ``INPUT_NAMES`` and the head's columns; returns the outputs, then the losses."""
        batch = {"word_vectors": self.gather(self.word_embeddings, inputs[0], 0), "masks": ()}
        for index in range(len(self.names)):
            batch[self.names[index]] = inputs[index]
        outputs = self.forward(batch)
        values = ()
        for name in self.outputs:
            values = (*values, outputs[name])
        return (*values, self.forward.head.losses(outputs, batch))
