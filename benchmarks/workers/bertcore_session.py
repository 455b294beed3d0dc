"""bertcore's sessions, one for each precision that is asked for, on the backend that is asked for."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.rows import read
from benchmarks.harness.serving import Clock, serve
from bertcore.contracts.backend import ParameterGroup, SessionSpecification, TrainingSpecification, Workload
from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.training_step import StepContext
from bertcore.families.bert import BertFamily
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.heads import SequenceClassification
from bertcore.plugins.registry import Registry
from bertcore.version import __version__

RATE = 2e-5


class Sessions:
    """Sessions with the weights of one model.

    Args:
        backend: name of the backend.
        model: Hugging Face folder of a sequence classifier.
        rows: file of the rows.
        batch_size: rows of a batch.
        threads: what the environment says already.
        precisions: of the sessions that train.
        predict: precisions of the sessions that only predict.
        device: of the backend.
    """

    def __init__(
        self,
        backend: str,
        model: str,
        rows: str,
        batch_size: int,
        threads: int,
        precisions: tuple[str, ...] = (),
        predict: tuple[str, ...] = (),
        device: str = "cpu",
    ) -> None:
        found = read(rows)
        self._rows = Batch(
            found.offsets,
            found.input_ids,
            found.token_type_ids,
            np.arange(len(found)),
            {"labels": Column(found.labels, "row")},
        )
        self._backend = Registry().backend(backend)
        offered = self._backend.devices[device.partition(":")[0]]
        values = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))
        config = BertFamily().parse_config(values)
        # transformers 5 leaves the number of labels to their names
        head = SequenceClassification(tuple(values.get("id2label") or ("0", "1")))
        table = BertFamily().parameter_table(config, head)
        tensors = read_safetensors(Path(model) / "model.safetensors")
        parameters = {name: tensors[name].astype(np.float32) for name in table}
        groups = (ParameterGroup("no decay", r"bias$|LayerNorm", RATE, 0.0), ParameterGroup("rest", ".", RATE, 0.01))
        lengths, nothing = self._rows.lengths, np.zeros(0, dtype=np.int64)
        self._sessions: dict[tuple[str, bool], Any] = {}
        for precision, trains in [*((one, True) for one in precisions), *((one, False) for one in predict)]:
            if precision not in offered:
                raise ValueError(f"{backend} has no {precision} on {device}")
            session = self._backend.open(
                SessionSpecification(
                    config=config,
                    head=head,
                    table=table,
                    device=device,
                    precision=precision,  # type: ignore[arg-type]
                    prediction_precision="fp32" if trains else precision,  # type: ignore[arg-type]
                    workload=Workload(
                        lengths if trains else nothing,
                        nothing if trains else lengths,
                        batch_size,
                        batch_size,
                        config.max_length,
                    ),
                    code_of=partial(Registry().code_of, backend),
                    training=TrainingSpecification(groups) if trains else None,
                )
            )
            session.load(parameters)
            self._sessions[precision, trains] = session
        self._steps, self._device = 0, device

    def versions(self) -> dict[str, str]:
        """Of bertcore and the framework."""
        kernels = self._backend.describe_kernels(self._device, "fused") or "none"
        return {"bertcore": __version__, "bertcore-kernels": kernels, **self._backend.versions()}

    def train(self, batches: list[list[int]], precision: str) -> dict[str, Any]:
        """A step on each batch; the losses are read when all steps are done, as a run does that logs now and then."""
        session, steps = self._sessions[precision, True], []
        with Clock() as clock:
            for batch in map(self._rows.select, batches):
                context = StepContext(self._steps, 1, (RATE, RATE), float(len(batch)))
                steps.append((session.train_step([batch], context), len(batch)))
                self._steps += 1
            losses = [step.loss_sum / rows for step, rows in steps]
        return {"seconds": clock.seconds, "losses": losses, "compile_seconds": session.compile_seconds}

    def predict(self, batches: list[list[int]], precision: str) -> dict[str, Any]:
        """The best label of each row, in the order of the batches."""
        session = self._sessions[precision, False]
        with Clock() as clock:
            logits = [session.predict(self._rows.select(batch), ["logits"])["logits"] for batch in batches]
        return {"seconds": clock.seconds, "labels": np.concatenate(logits).argmax(-1).tolist()}


if __name__ == "__main__":
    serve(Sessions)
