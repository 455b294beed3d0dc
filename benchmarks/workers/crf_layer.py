"""A conditional random field: bertcore's, pytorch-crf's or bert4torch's, on sequences that are drawn alike."""

from __future__ import annotations

import statistics
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from benchmarks.harness.serving import Clock, serve

NAMES = ("transitions", "start_transitions", "end_transitions")


class Layer:
    """A layer with random scores, and random sequences of a half to all of the positions.

    Args:
        kind: ``bertcore``, ``pytorch-crf``, ``bert4torch`` or ``flash-semicrf``, with segments of one position.
        rows: sequences.
        positions: of the longest.
        tags: how many there are.
        threads: of torch.
        device: of torch.
    """

    def __init__(self, kind: str, rows: int, positions: int, tags: int, threads: int, device: str = "cpu") -> None:
        torch.set_num_threads(threads)
        self._kind, self._device = kind, device
        generator = np.random.default_rng(1)
        lengths = generator.integers(positions // 2, positions + 1, rows)
        lengths[0] = positions
        inside = torch.from_numpy(np.arange(positions) < lengths[:, None])
        gold = torch.from_numpy(generator.integers(0, tags, (rows, positions))) * inside
        emissions = torch.from_numpy(generator.normal(size=(rows, positions, tags)).astype(np.float32) * 2)
        scores = [
            torch.from_numpy(generator.normal(0, 0.1, size).astype(np.float32)) for size in ((tags, tags), tags, tags)
        ]
        self._inside, self._gold, self._emissions = (one.to(device) for one in (inside, gold, emissions))
        if kind == "bertcore":
            from bertcore_torch.crf import ConditionalRandomField, Sequences

            from bertcore.heads import TokenClassification

            self._layer: Any = ConditionalRandomField(TokenClassification(tuple(map(str, range(tags))), crf=True))
            self._emissions, self._gold = self._emissions[self._inside], self._gold[self._inside]
            row_of = torch.from_numpy(np.repeat(np.arange(rows), lengths)).to(device)
            self._sequences = Sequences(lengths, row_of)
        elif kind == "pytorch-crf":
            import torchcrf

            self._layer = torchcrf.CRF(tags, batch_first=True)
        elif kind == "flash-semicrf":
            from flash_semicrf import SemiMarkovCRFHead

            self._layer = SemiMarkovCRFHead(tags, max_duration=1, duration_distribution="uniform")
            self._lengths = torch.from_numpy(lengths).to(device)
        else:
            from bert4torch.layers import CRF

            self._layer = CRF(tags)
        self._layer.to(device)
        with torch.no_grad():
            if kind == "flash-semicrf":  # which has no scores of first and last tags
                self._layer.transition.copy_(scores[0])
                scores = []
            for name, values in zip(NAMES, scores, strict=False):
                getattr(self._layer, name).copy_(values)
        self._emissions.requires_grad_()

    def versions(self) -> dict[str, str]:
        """Of what computes."""
        return {self._kind: version(self._kind), "torch": torch.__version__}

    def loss(self, repeats: int) -> dict[str, float]:
        """The sum of the losses with all gradients; the median of the seconds of several times."""
        self._wait()
        seconds = []
        for _ in range(repeats):
            with Clock() as clock:
                self._layer.zero_grad()
                self._emissions.grad = None
                loss = self._losses()
                loss.backward()
                self._wait()
            seconds.append(clock.seconds)
        return {"seconds": statistics.median(seconds), "loss": loss.item()}

    def decode(self, repeats: int) -> dict[str, Any]:
        """The best tags of all positions, row by row; the median of the seconds of several times."""
        seconds = []
        for _ in range(repeats):
            with Clock() as clock:
                found = self._best_tags()
            seconds.append(clock.seconds)
        return {"seconds": statistics.median(seconds), "tags": found}

    def _best_tags(self) -> list[int]:
        emissions = self._emissions.detach()
        if self._kind == "bertcore":
            found: list[int] = self._layer.decode(emissions, self._sequences).tolist()
        elif self._kind == "pytorch-crf":
            found = [tag for row in self._layer.decode(emissions, self._inside) for tag in row]
        elif self._kind == "flash-semicrf":
            rows = self._layer.decode_with_traceback(emissions, self._lengths).segments
            found = [segment.label for row in rows for segment in row]
        else:
            found = self._layer.decode(emissions, self._inside)[self._inside].tolist()
        return found

    def _losses(self) -> torch.Tensor:
        if self._kind == "bertcore":
            return self._layer.losses(self._emissions, self._gold, self._sequences).sum()
        if self._kind == "pytorch-crf":
            return -self._layer(self._emissions, self._gold, self._inside)
        if self._kind == "flash-semicrf":
            on_card = self._device != "cpu"
            return self._layer.compute_loss(
                self._emissions, self._lengths, self._gold, use_triton=on_card, reduction="sum"
            )
        loss: torch.Tensor = self._layer(self._emissions, self._inside, self._gold, "sum")
        return loss

    def _wait(self) -> None:
        if self._device != "cpu":
            torch.cuda.synchronize()


if __name__ == "__main__":
    serve(Layer)
