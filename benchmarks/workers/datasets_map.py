"""``datasets.map`` with transformers' fast tokenizer, as ``run_glue`` has it."""

from __future__ import annotations

import os
import resource

import datasets
import transformers

from benchmarks.harness.serving import Clock, serve


class Encoding:
    """Encodes the examples of one file.

    Args:
        file: CSV with the columns ``text``, ``text_pair`` and ``label``.
        model: Hugging Face folder, for its tokenizer.
        threads: of the tokenizer, or processes of ``map``.
    """

    def __init__(self, file: str, model: str, threads: int) -> None:
        datasets.disable_progress_bars()
        self._threads = threads
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        self._imported = _peak()
        self._data = datasets.load_dataset("csv", data_files=file, split="train")

    def versions(self) -> dict[str, str]:
        """Of what computes."""
        return {"datasets": datasets.__version__, "transformers": transformers.__version__}

    def encode(self, processes: bool) -> dict[str, float]:
        """Seconds of ``map`` in batches: in one process whose tokenizer has threads, or in as many processes."""
        os.environ["TOKENIZERS_PARALLELISM"] = "false" if processes else "true"
        with Clock() as clock:
            found = self._data.map(
                lambda rows: self._tokenizer(rows["text"], rows["text_pair"], truncation=True, max_length=128),
                batched=True,
                num_proc=self._threads if processes else None,
                load_from_cache_file=False,
            )
        return {"seconds": clock.seconds, "mebibytes": _peak() - self._imported, "rows": len(found)}


def _peak() -> float:
    """The most MiB that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    serve(Encoding)
