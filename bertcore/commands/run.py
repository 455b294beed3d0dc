"""A training run from the configuration to the report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from bertcore.config import (
    RunConfig,
    Setting,
)
from bertcore.engine.given_rows import GivenRows, kept_in_run_folder
from bertcore.engine.prepared_run import prepare_run
from bertcore.engine.ranks import this_rank
from bertcore.engine.run_folder import RunFolder
from bertcore.engine.run_result import RunResult
from bertcore.engine.seed_run import train_seed
from bertcore.engine.settings import changed_config
from bertcore.plugins.registry import Registry


def run(config: RunConfig, registry: Registry, rows: GivenRows | None = None) -> RunResult:
    """Trains with one seed and reports.

    Args:
        config: the configuration.
        registry: the plugins.
        rows: data that no file holds.

    Raises:
        BertcoreError: the user's mistake, one subclass for each kind.
        Interrupted: Ctrl-C, SIGTERM or SIGUSR1.
    """
    with kept_in_run_folder(rows, config) as (config, kept):
        return train_seed(prepare_run(config, registry, rows=kept), config.run.seed)


def resume(path: Path, registry: Registry, changes: Sequence[Setting] = (), trackers: Sequence[str] = ()) -> RunResult:
    """Goes on with a stopped run from its last complete checkpoint, on any backend.

    A run that was killed before it wrote one begins again with its first step.

    Args:
        path: the run folder.
        registry: the plugins.
        changes: settings on top of the run's own: backend, device, precision, more epochs.
        trackers: names of further trackers.

    Raises:
        ConfigError: a change that would make it another run.
        ModelError: every checkpoint is damaged, or there is none although the run had one.
        OutputError: another process works on the run.
    """
    folder = RunFolder.open(path)
    # The lock is the first rank's: it alone writes.
    with folder.go_on() if this_rank().is_first else nullcontext(list[str]()) as notes:
        config = changed_config(folder, registry, changes, trackers)
        return train_seed(prepare_run(config, registry, resumed=folder, notes=notes), config.run.seed)
