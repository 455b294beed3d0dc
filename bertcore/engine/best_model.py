"""The best model of a run: ``best/``, the same weights as one file, and its predictions, all of one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.config import RunConfig
from bertcore.contracts.adapter import merged
from bertcore.contracts.backend import Backend
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters, ParameterSpec
from bertcore.engine.adapters import own_names
from bertcore.engine.checkpoint import ADAPTER, MODEL, Progress, kept_checkpoints
from bertcore.engine.model_settings import ENTRY
from bertcore.engine.parameter_groups import trained_names
from bertcore.engine.preparation import absolute
from bertcore.engine.prepared_run import PreparedRun
from bertcore.engine.report import write_json_lines
from bertcore.engine.run_folder import RunFolder
from bertcore.errors import ModelError
from bertcore.files.durable import sync_tree
from bertcore.files.manifest import verified_facts, write_manifest
from bertcore.files.writing import staged
from bertcore.numerics.lora import Lora
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer
from bertcore.weights.adapter_folder import write_adapter
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


@dataclass(frozen=True)
class ModelAdapter:
    """The adapter of a run, and how it is written.

    Attributes:
        lora: its description.
        base: name of the model that it belongs to.
        whole: names of the encoder's that are trained as they are, as those of a new pooler; the adapter holds them.
        is_all: whether it holds all that is trained, with the head. Else there is no ``adapter/`` beside ``best/``.
    """

    lora: Lora
    base: str | None
    whole: tuple[str, ...]
    is_all: bool

    @classmethod
    def of(cls, prepared: PreparedRun, config: RunConfig) -> ModelAdapter | None:
        """That of a run; None where it trains none."""
        if prepared.adapter is None:
            return None
        own, prefix = own_names(prepared.adapter, prepared.table), prepared.source.family.prefix
        trained = trained_names(prepared.specification.groups, prepared.table)
        whole = tuple(name for name in trained if name not in own and name.startswith(prefix))
        # peft keeps modules, and none that it adapts: a rule may train the biases alone, which it has no place for.
        modules = {name.rpartition(".")[0] for name in whole}
        of_modules = {name for name in prepared.table if name.rpartition(".")[0] in modules and name not in own}
        is_all = of_modules == {*whole} and modules.isdisjoint(prepared.adapter.targets)
        return cls(prepared.adapter, absolute(config.model.path), whole if is_all else (), is_all)


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
        adapter: which the run trains; it is merged into ``best/``, and lies beside it.
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
        adapter: ModelAdapter | None = None,
    ) -> None:
        self._folder = folder
        self._source = source
        self._tokenizer = tokenizer
        self._backend = backend
        self._registry = registry
        self._max_length = max_length
        self._settings = settings
        self._adapter = adapter

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
        model = merged(parameters, None if self._adapter is None else self._adapter.lora)
        # All take their places together: a disk that fills meanwhile leaves the earlier ones, of one step. best/ is
        # the first of them: where the run is killed in between, its step is another than the checkpoint's best one.
        with (
            staged(self._folder.predictions) as rows,
            staged(self._folder.path / name) as weights,
            self._staged_adapter() as adapter,
            staged(self._folder.best) as best,
        ):
            self.save_model(best, model, head)
            write_manifest(best, step=step, precedes_checkpoints=int(not kept_checkpoints(self._folder.path)))
            save_weights(weights, model, self._registry.converter(converter))
            write_json_lines(rows, predictions)
            if adapter is not None:
                self._save_adapter(adapter, parameters, head)
                write_manifest(adapter, step=step)
            for made in (best, weights, rows, *([] if adapter is None else [adapter])):
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

    def save_to_go_on(self, folder: Path, parameters: Parameters, head: Head) -> None:
        """Writes into a checkpoint what training goes on from: the model, and the adapter beside it, not merged."""
        own = () if self._adapter is None else self._adapter.lora.parameters(_specs(parameters))
        self.save_model(folder / MODEL, {name: parameters[name] for name in parameters if name not in own}, head)
        if self._adapter is not None:
            self._save_adapter(folder / ADAPTER, parameters, head)

    @contextmanager
    def _staged_adapter(self) -> Iterator[Path | None]:
        if self._adapter is None or not self._adapter.is_all:
            yield None
            return
        with staged(self._folder.adapter) as folder:
            yield folder

    def _save_adapter(self, folder: Path, parameters: Parameters, head: Head) -> None:
        assert self._adapter is not None
        family, config = self._source.family, self._source.config
        write_adapter(
            folder,
            self._adapter.lora,
            parameters,
            prefix=family.prefix,
            head=head,
            whole=self._adapter.whole,
            base=self._adapter.base,
            config_json={**family.config_json(config, head), ENTRY: self._settings},
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


def _specs(parameters: Parameters) -> dict[str, ParameterSpec]:
    return {name: ParameterSpec(value.shape) for name, value in parameters.items()}
