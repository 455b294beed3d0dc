"""The rate of products of an encoder's shapes by what torch ships: what nothing on this host should beat by far."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.harness.serving import Clock, serve

WHILE = 0.3
"""Seconds of passes for a rate."""

TRIES = 5
"""Of each kernel, the fastest of which says which one is taken."""

Product = Callable[[], Any]


class Products:
    """The four products of a layer, forward, and backward where it is asked for, each by the faster kernel.

    torch computes fp32 products by MKL, which does not know every processor, and ships oneDNN, too: the faster of both
    is taken for each product.

    Args:
        hidden: width of the encoder.
        threads: of each product.
        device: of torch.
    """

    def __init__(self, hidden: int, threads: int, device: str = "cpu") -> None:
        torch.set_num_threads(threads)
        self._device = device
        self._shapes = ((hidden, 3 * hidden), (hidden, hidden), (hidden, 4 * hidden), (4 * hidden, hidden))
        self._products: dict[tuple[str, int, bool], list[Product]] = {}
        self._operations = 2 * sum(inner * outer for inner, outer in self._shapes)

    def versions(self) -> dict[str, str]:
        """Of what computes."""
        return {"torch": torch.__version__}

    def rate(self, tokens: int, precision: str, backward: bool) -> dict[str, float]:
        """Operations a second over all shapes, in the fastest of the passes that fit in a while.

        The fastest, since a pass takes a few milliseconds, in which anything else on the machine would count in full.

        Args:
            tokens: rows of each product.
            precision: ``fp32`` or ``bf16``.
            backward: also the products that give the gradients of input and weight.
        """
        key = (precision, tokens, backward)
        if key not in self._products:
            # Those of other sizes are not needed again.
            self._products = {known: products for known, products in self._products.items() if known[0] != precision}
            dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
            self._products[key] = []
            for shape in self._shapes:
                self._products[key] += self._chosen(*shape, tokens, dtype, backward)
        found: list[float] = []
        with Clock() as whole:
            while sum(found) < WHILE:
                with Clock() as clock:
                    for product in self._products[key]:
                        product()
                    if self._device != "cpu":
                        torch.cuda.synchronize()
                found.append(clock.seconds)
        operations = self._operations * tokens * (3 if backward else 1)
        return {"seconds": whole.seconds, "rate": operations / min(found)}

    def _chosen(self, inner: int, outer: int, tokens: int, dtype: torch.dtype, backward: bool) -> list[Product]:
        """The products of one matrix."""
        values, weight, gradient = (
            torch.randn(size, dtype=dtype, device=self._device)
            for size in ((tokens, inner), (outer, inner), (tokens, outer))
        )
        factors = [(values, weight)]  # each product is of the first with the second's transpose
        if backward:
            factors += [(gradient, weight.T), (gradient.T, values.T)]
        return [self._fastest(one, other) for one, other in factors]

    def _fastest(self, one: torch.Tensor, other: torch.Tensor) -> Product:
        candidates: list[Product] = [lambda: torch.nn.functional.linear(one, other)]
        if self._device == "cpu" and torch.backends.mkldnn.is_available():
            candidates.append(lambda: torch.ops.mkldnn._linear_pointwise(one, other, None, "none", [], ""))
        return min(candidates, key=_seconds) if len(candidates) > 1 else candidates[0]


def _seconds(product: Product) -> float:
    """The least of some tries."""
    found = []
    for _ in range(TRIES):
        started = time.perf_counter()
        product()
        found.append(time.perf_counter() - started)
    return min(found)


if __name__ == "__main__":
    serve(Products)
