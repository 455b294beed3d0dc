"""Named entities with a conditional random field: a session of bertcore's, or the way of bert4torch's script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.rows import read
from benchmarks.harness.serving import Clock, serve

RATE = 2e-5


def tags_of(lengths: np.ndarray, tags: int) -> list[list[int]]:
    """Gold tags of each row without its first and last token, which are `[CLS]` and `[SEP]`."""
    generator = np.random.default_rng(2)
    return [generator.integers(0, tags, int(length) - 2).tolist() for length in lengths]


class Bertcore:
    """A session that trains and predicts.

    Args:
        backend: name of the backend.
        model: Hugging Face folder.
        rows: file of the rows.
        tags: how many there are.
        batch_size: rows of a batch.
        threads: what the environment says already.
        precision: of training and prediction.
    """

    def __init__(
        self, backend: str, model: str, rows: str, tags: int, batch_size: int, threads: int, precision: str
    ) -> None:
        from functools import partial

        from bertcore.contracts.backend import ParameterGroup, SessionSpecification, TrainingSpecification, Workload
        from bertcore.contracts.batch import Column, from_rows
        from bertcore.families.bert import BertFamily
        from bertcore.formats.safetensors_file import read_safetensors
        from bertcore.heads import TokenClassification
        from bertcore.plugins.registry import Registry

        found = read(rows)
        gold = tags_of(found.lengths, tags)
        self._rows = from_rows(
            [found.of("input_ids", row) for row in range(len(found))],
            [found.of("token_type_ids", row) for row in range(len(found))],
            {"labels": Column(np.concatenate(gold).astype(np.int32), "label")},
            label_positions=[[*range(1, len(row) + 1)] for row in gold],
        )
        self._backend = Registry().backend(backend)
        if precision not in self._backend.devices["cpu"]:
            raise ValueError(f"{backend} has no {precision} on cpu")
        config = BertFamily().parse_config(json.loads((Path(model) / "config.json").read_text(encoding="utf-8")))
        self._head = TokenClassification(tuple(map(str, range(tags))), crf=True)
        table = BertFamily().parameter_table(config, self._head)
        tensors = read_safetensors(Path(model) / "model.safetensors")
        generator = np.random.default_rng(3)
        parameters = {
            name: tensors[name].astype(np.float32)
            if name in tensors and tensors[name].shape == spec.shape
            else generator.normal(0, 0.02, spec.shape).astype(np.float32)
            for name, spec in table.items()
        }
        self._session = self._backend.open(
            SessionSpecification(
                config=config,
                head=self._head,
                table=table,
                device="cpu",
                precision=precision,  # type: ignore[arg-type]
                prediction_precision=precision,  # type: ignore[arg-type]
                workload=Workload(found.lengths, found.lengths, batch_size, 4 * batch_size, config.max_length),
                code_of=partial(Registry().code_of, backend),
                training=TrainingSpecification((ParameterGroup("all", ".", RATE, 0.01),)),
            )
        )
        self._session.load(parameters)
        self._steps = 0

    def versions(self) -> dict[str, str]:
        """Of bertcore and the framework."""
        from bertcore.version import __version__

        return {"bertcore": __version__, **self._backend.versions()}

    def train(self, batches: list[list[int]]) -> dict[str, float]:
        """A step on each batch."""
        from bertcore.contracts.training_step import StepContext

        with Clock() as clock:
            steps = []
            for batch in map(self._rows.select, batches):
                context = StepContext(self._steps, 1, (RATE,), self._head.loss_count(batch))
                steps.append(self._session.train_step([batch], context))
                self._steps += 1
            loss = sum(step.loss_sum for step in steps)
        return {"seconds": clock.seconds, "loss": loss}

    def predict(self, batches: list[list[int]]) -> dict[str, float]:
        """The best tags of each row."""
        with Clock() as clock:
            found = [self._session.predict(self._rows.select(batch), ["tags"])["tags"] for batch in batches]
        return {"seconds": clock.seconds, "tags": sum(len(one) for one in found)}


class Bert4torch:
    """Encoder, linear layer and CRF as in its script: padded to the longest row, `[CLS]` and `[SEP]` in the CRF.

    Args:
        model: not needed.
        weights: its own file.
        config: its own configuration.
        rows: file of the rows.
        tags: how many there are.
        threads: of torch.
    """

    def __init__(self, model: str, weights: str, config: str, rows: str, tags: int, threads: int) -> None:
        import torch
        from bert4torch.layers import CRF
        from bert4torch.models import build_transformer_model

        torch.set_num_threads(threads)
        self._torch = torch
        self._rows = read(rows)
        self._gold = [[0, *row, 0] for row in tags_of(self._rows.lengths, tags)]
        hidden = json.loads(Path(config).read_text(encoding="utf-8"))["hidden_size"]
        self._encoder = build_transformer_model(config_path=config, checkpoint_path=weights)
        self._dropout, self._linear, self._crf = torch.nn.Dropout(0.1), torch.nn.Linear(hidden, tags), CRF(tags)
        self._modules = torch.nn.ModuleList([self._encoder, self._dropout, self._linear, self._crf])
        self._optimizer = torch.optim.AdamW(self._modules.parameters(), lr=RATE)

    def versions(self) -> dict[str, str]:
        """Of what computes."""
        from importlib.metadata import version

        return {"bert4torch": version("bert4torch"), "torch": self._torch.__version__}

    def train(self, batches: list[list[int]]) -> dict[str, float]:
        """A step on each batch."""
        self._modules.train()
        loss_sum = 0.0
        with Clock() as clock:
            for batch in batches:
                ids, mask, gold = self._padded(batch)
                loss = self._crf(self._emissions(ids), mask, gold)
                loss.backward()
                self._torch.nn.utils.clip_grad_norm_(self._modules.parameters(), 1.0)
                self._optimizer.step()
                self._optimizer.zero_grad()
                loss_sum += loss.item() * len(batch)
        return {"seconds": clock.seconds, "loss": loss_sum}

    def predict(self, batches: list[list[int]]) -> dict[str, float]:
        """The best tags of each row."""
        self._modules.eval()
        tags = 0
        with Clock() as clock, self._torch.no_grad():
            for batch in batches:
                ids, mask, _ = self._padded(batch)
                paths = self._crf.decode(self._emissions(ids), mask)
                paths = paths[0] if isinstance(paths, self._torch.Tensor) and paths.dim() == 3 else paths
                tags += sum(len(path[1 : len(self._gold[row]) - 1]) for path, row in zip(paths, batch, strict=True))
        return {"seconds": clock.seconds, "tags": tags}

    def _emissions(self, ids: Any) -> Any:
        hidden = self._encoder([ids, self._torch.zeros_like(ids)])
        hidden = hidden[0] if isinstance(hidden, tuple | list) else hidden
        return self._linear(self._dropout(hidden))

    def _padded(self, batch: list[int]) -> tuple[Any, Any, Any]:
        arrays = self._rows.padded(batch)
        length = arrays["input_ids"].shape[1]
        gold = [self._gold[row] + [0] * (length - len(self._gold[row])) for row in batch]
        mask = self._torch.from_numpy(arrays["attention_mask"]).bool()
        return self._torch.from_numpy(arrays["input_ids"]), mask, self._torch.tensor(gold)


def make(kind: str, **made_of: Any) -> Bertcore | Bert4torch:
    """One of the two."""
    return Bertcore(**made_of) if kind == "bertcore" else Bert4torch(**made_of)


if __name__ == "__main__":
    serve(make)
