"""The best model of a run: ``best/``, the same weights as one file, and its predictions, all of one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.contracts.backend import Backend
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.engine.checkpoint import Progress, kept_checkpoints
from bertcore.engine.model_settings import ENTRY
from bertcore.engine.report import write_json_lines
from bertcore.engine.run_folder import RunFolder
from bertcore.errors import ModelError
from bertcore.files.durable import sync_tree
from bertcore.files.manifest import verified_facts, write_manifest
from bertcore.files.writing import staged
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer
from bertcore.weights.opening import ModelSource, open_model, save_model, save_weights


@dataclass(frozen=True)
class LoadedBest:
    """The best model of a run, read again.

    Attributes:
        parameters: all of them.
        head: with what was tuned.
        step: at which it was saved; None where that is not known.
    """

    parameters: Parameters
    head: Head
    step: int | None


class BestModel:
    """Writes and reads the best model of one run.

    Args:
        folder: the run folder.
        source: the model that is trained.
        tokenizer: with which it is trained.
        backend: on which it is trained.
        registry: where converters are looked up.
        max_length: tokens of the longest row.
        settings: what the model shall remember, see :mod:`bertcore.engine.model_settings`.
    """

    def __init__(
        self,
        folder: RunFolder,
        source: ModelSource,
        tokenizer: Tokenizer,
        backend: Backend,
        registry: Registry,
        *,
        max_length: int,
        settings: Mapping[str, Any],
    ) -> None:
        self._folder = folder
        self._source = source
        self._tokenizer = tokenizer
        self._backend = backend
        self._registry = registry
        self._max_length = max_length
        self._settings = settings

    def save(self, step: int, predictions: Sequence[Mapping[str, Any]], parameters: Parameters, head: Head) -> None:
        """Keeps a model as the best so far.

        Args:
            step: at which it was evaluated.
            predictions: of the evaluation split.
            parameters: of the model.
            head: with what was tuned.

        Raises:
            OutputError: it could not be written; the one before is still there.
        """
        name, converter = self._backend.weight_file
        # All take their places together: a disk that fills meanwhile leaves the earlier ones, of one step. best/ is
        # the first of them: where the run is killed in between, its step is another than the checkpoint's best one.
        with (
            staged(self._folder.predictions) as rows,
            staged(self._folder.path / name) as weights,
            staged(self._folder.best) as best,
        ):
            self.save_model(best, parameters, head)
            write_manifest(best, step=step, precedes_checkpoints=int(not kept_checkpoints(self._folder.path)))
            save_weights(weights, parameters, self._registry.converter(converter))
            write_json_lines(rows, predictions)
            for made in (best, weights, rows):
                sync_tree(made)
        for other in self._folder.path.glob("best_model.*"):  # of the backend that the run was begun on
            if other.name != name:
                other.unlink()

    def save_model(self, folder: Path, parameters: Parameters, head: Head) -> None:
        """Writes a Hugging Face folder."""
        save_model(
            folder,
            family=self._source.family,
            config=self._source.config,
            head=head,
            parameters=parameters,
            tokenizer=self._tokenizer,
            extra_config={ENTRY: self._settings},
            max_length=self._max_length,
        )

    def load(self, head: Head) -> LoadedBest:
        """Reads the best model for a head.

        Raises:
            ModelError: there is no best model, or it is damaged.
        """
        source = open_model(str(self._folder.best), self._registry, backend=self._backend.name)
        parameters, _ = source.fit(head, seed=0)
        step = verified_facts(self._folder.best).get("step")
        return LoadedBest(parameters, head.tuned_as(source.head()), step)

    def is_missing(self, progress: Progress) -> str | None:
        """Says what is wrong with the best model that a checkpoint counts on; None where nothing is.

        Raises:
            ModelError: it is damaged, and was not saved at the checkpoint's own step: it cannot be made again.
        """
        if progress.best_value is None:
            return None
        if not self._folder.best.is_dir():
            return f"{self._folder.best} is missing"
        try:
            step = verified_facts(self._folder.best).get("step", progress.best_step)
        except ModelError as error:
            # The checkpoint holds the weights of its own step and of no other.
            if progress.step != progress.best_step:
                raise
            return error.cause
        if step == progress.best_step:
            return None
        return f"{self._folder.best} is of step {step}, and the checkpoint counts on that of step {progress.best_step}"
