"""transformers' sequence classifier in a training loop as its Trainer has it, without what a Trainer costs beside."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from benchmarks.harness.rows import read
from benchmarks.harness.serving import Clock, serve

RATE = 2e-5


class Model:
    """One model with its optimizer, for every way to feed it.

    Args:
        model: Hugging Face folder of a sequence classifier.
        rows: file of the rows.
        threads: of torch.
        train: whether it trains.
        device: of torch.
        attention: by its name in transformers; None for its default.
    """

    def __init__(
        self,
        model: str,
        rows: str,
        threads: int,
        train: bool = False,
        device: str = "cpu",
        attention: str | None = None,
    ) -> None:
        torch.set_num_threads(threads)
        self._rows = read(rows)
        self._device, self._kind = device, device.partition(":")[0]
        loaded = transformers.AutoModelForSequenceClassification.from_pretrained(
            model, dtype=torch.float32, attn_implementation=attention
        )
        self._model = loaded.to(device).train(train)
        self._compiled: Any = None
        if train:
            spared = {name for name, _ in loaded.named_parameters() if name.endswith("bias") or "LayerNorm" in name}
            groups = [
                {
                    "params": [one for name, one in loaded.named_parameters() if (name in spared) == without],
                    "weight_decay": decay,
                }
                for without, decay in ((True, 0.0), (False, 0.01))
            ]
            # As TrainingArguments has it by default: torch's fused AdamW.
            self._optimizer = torch.optim.AdamW(groups, lr=RATE, fused=True)

    def versions(self) -> dict[str, str]:
        """Of what computes."""
        return {"torch": torch.__version__, "transformers": transformers.__version__}

    def train(
        self,
        batches: list[list[int]],
        precision: str,
        pad_to: int | None = None,
        compiled: bool = False,
        flattened: bool = False,
    ) -> dict[str, Any]:
        """A step on each batch, padded to a length or to its longest row, or flattened; collating counts.

        The losses are read when all steps are done, as a Trainer does that logs now and then.
        """
        model, losses = self._choose(compiled), []
        with Clock() as clock:
            for batch in batches:
                labels = torch.from_numpy(self._rows.labels[batch]).to(self._device)
                with torch.autocast(self._kind, dtype=torch.bfloat16, enabled=precision == "bf16"):
                    if flattened:
                        logits = self._logits_of_flattened(batch)
                        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
                    else:
                        loss = model(**self._collate(batch, pad_to), labels=labels).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
                self._optimizer.step()
                self._optimizer.zero_grad()
                losses.append(loss.detach())
            values = [loss.item() for loss in losses]
        return {"seconds": clock.seconds, "losses": values}

    def predict(self, batches: list[list[int]], precision: str, compiled: bool = False) -> dict[str, Any]:
        """The best label of each row, in the order of the batches."""
        model, labels = self._choose(compiled), []
        with Clock() as clock, torch.inference_mode():
            for batch in batches:
                with torch.autocast(self._kind, dtype=torch.bfloat16, enabled=precision == "bf16"):
                    logits = model(**self._collate(batch, None)).logits
                labels += logits.float().argmax(-1).tolist()
        return {"seconds": clock.seconds, "labels": labels}

    def _logits_of_flattened(self, batch: list[int]) -> torch.Tensor:
        """All rows as one, as DataCollatorWithFlattening lays them out, pooled where each row begins."""
        lengths = torch.from_numpy(self._rows.lengths[batch])
        starts = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).to(torch.int32)
        positions = torch.cat([torch.arange(int(length)) for length in lengths])
        ids, types = (
            torch.tensor([token for row in batch for token in self._rows.of(name, row)])
            for name in ("input_ids", "token_type_ids")
        )
        longest = int(lengths.max())
        starts = starts.to(self._device)
        hidden = self._model.bert(
            input_ids=ids[None].to(self._device),
            token_type_ids=types[None].to(self._device),
            position_ids=positions[None].to(self._device),
            cu_seq_lens_q=starts,
            cu_seq_lens_k=starts,
            max_length_q=longest,
            max_length_k=longest,
        ).last_hidden_state
        pooled = self._model.bert.pooler(hidden[0, starts[:-1].long()][:, None])
        logits: torch.Tensor = self._model.classifier(self._model.dropout(pooled))
        return logits

    def _choose(self, compiled: bool) -> Any:
        if not compiled:
            return self._model
        if self._compiled is None:
            self._compiled = torch.compile(self._model, dynamic=True)
        return self._compiled

    def _collate(self, batch: list[int], pad_to: int | None) -> dict[str, torch.Tensor]:
        arrays = self._rows.padded(batch, pad_to)
        return {name: torch.from_numpy(array).to(self._device) for name, array in arrays.items()}


if __name__ == "__main__":
    serve(Model)
