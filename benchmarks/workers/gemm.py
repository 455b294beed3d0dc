"""The rate of products of an encoder's shapes by torch's own kernels: what nothing on this host should beat by far."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.serving import Clock, serve, set_threads


class Products:
    """The four products of a layer, forward, and backward where it is asked for.

    Args:
        hidden: width of the encoder.
        threads: of each product.
        device: of torch.
    """

    def __init__(self, hidden: int, threads: int, device: str = "cpu") -> None:
        import torch

        set_threads(threads)
        self._device = device
        self._shapes = ((hidden, 3 * hidden), (hidden, hidden), (hidden, 4 * hidden), (4 * hidden, hidden))
        self._matrices: dict[tuple[str, int], list[Any]] = {}
        self._operations = 2 * sum(inner * outer for inner, outer in self._shapes)
        self._torch = torch

    def versions(self) -> dict[str, str]:
        """Of what computes."""
        return {"torch": self._torch.__version__}

    def rate(self, tokens: int, precision: str, backward: bool, repeats: int = 1) -> dict[str, float]:
        """Operations a second over all shapes.

        Args:
            tokens: rows of each product.
            precision: ``fp32`` or ``bf16``.
            backward: also the products that give the gradients of input and weight.
            repeats: how often all are computed.
        """
        torch = self._torch
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        key = (precision, tokens)
        if key not in self._matrices:
            self._matrices = {
                known: matrices for known, matrices in self._matrices.items() if known[0] != precision
            }  # those of other sizes are not needed again
            self._matrices[key] = [
                [torch.randn(size, dtype=dtype, device=self._device) for size in ((tokens, i), (o, i), (tokens, o))]
                for i, o in self._shapes
            ]
            self._compute(self._matrices[key], backward)
        with Clock() as clock:
            for _ in range(repeats):
                self._compute(self._matrices[key], backward)
            if self._device != "cpu":
                torch.cuda.synchronize()
        operations = self._operations * tokens * repeats * (3 if backward else 1)
        return {"seconds": clock.seconds, "rate": operations / clock.seconds}

    def _compute(self, matrices: list[Any], backward: bool) -> None:
        for values, weight, gradient in matrices:
            self._torch.nn.functional.linear(values, weight)
            if backward:
                gradient @ weight
                gradient.T @ values


if __name__ == "__main__":
    serve(Products)
