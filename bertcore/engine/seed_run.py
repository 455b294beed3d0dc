"""One seed in one run folder, from the first step to the report.

::

    prepare_run    data, model, session                          once, for all seeds
    train_seed     parameters -> session, run folder, trackers   once a seed
      Trainer        steps, and what they call in SeedRun: evaluate, save_best, save_checkpoint
      report         the best checkpoint once more, the test file, report.json

What is drawn by chance is a function of the seed and of where it is used, and of nothing that happened before::

    order of the rows     seed, epoch                                  data/plans.py
    dropout masks         seed, step, micro-batch, rank, site, pass    numerics/randomness.py
    new parameters        seed, canonical name                         contracts/parameters.py

So a run that goes on from step 50 takes step 51 as if it had never stopped, on whichever backend.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bertcore.config import DistillOptions, RunConfig, config_values
from bertcore.contracts.events import Note, RunFinished, RunStarted
from bertcore.contracts.parameters import FitReport, Parameters, initial_value
from bertcore.engine.adapters import own_names
from bertcore.engine.agreement import (
    facts_of,
    require_agreement,
    told_by_first,
    wait_for_all,
)
from bertcore.engine.checkpoint import Progress, complete_state
from bertcore.engine.division import keep_division
from bertcore.engine.preparation import absolute, absolute_files
from bertcore.engine.prepared_run import PreparedRun
from bertcore.engine.run_folder import RunFolder
from bertcore.engine.run_header import run_header, run_notes
from bertcore.engine.run_host import FollowingRun, SeedRun
from bertcore.engine.run_report import RunOutcome, report_run
from bertcore.engine.run_result import RunResult
from bertcore.engine.tracking import open_trackers
from bertcore.engine.training import Trainer


def train_seed(prepared: PreparedRun, seed: int, suffix: str = "") -> RunResult:
    """Trains with one seed and reports.

    Args:
        prepared: what all seeds share.
        seed: of data order, dropout and new parameters; nothing else in a run is drawn by chance.
        suffix: name of the run folder within that of the configuration.

    Raises:
        BertcoreError: the user's mistake, one subclass for each kind.
        Interrupted: Ctrl-C, SIGTERM or SIGUSR1.
    """
    started = time.perf_counter()
    config = prepared.config.model_copy(update={"run": prepared.config.run.model_copy(update={"seed": seed})})
    fit = _load(prepared, config)
    require_agreement(prepared.session, prepared.ranks, facts_of(prepared, config))
    if not prepared.ranks.is_first:
        return _follow(prepared, config, started)
    with _folder_of(prepared, config, suffix) as (folder, notes):
        told_by_first(prepared.session, prepared.ranks, str(folder.path))
        config = keep_division(config, folder, prepared.training_split)
        if prepared.teacher is not None:
            prepared.teacher.keep(folder.path)
        stored = _write_config(config, folder)
        progress = Progress() if prepared.checkpoint is None else prepared.checkpoint.progress
        begun = RunStarted(
            folder.path,
            run_header(prepared, config, folder.path),
            prepared.data.total_steps,
            progress.step,
            config_values(stored),
            tuple(progress.history),
        )
        with open_trackers(config.run.trackers, prepared.registry, begun) as send:
            for note in (*notes, *run_notes(prepared, fit)):
                send(Note(note))
            run = SeedRun(prepared, config, folder, progress, send)
            trainer = Trainer(prepared.session, run.plan, progress, run, run.make_best_again())
            finished = trainer.train()
            outcome = RunOutcome(begun, trainer.best, finished, trainer.time, time.perf_counter() - started)
            result = report_run(run, outcome)
            send(RunFinished(result.summary, result.metrics, result.seconds))
            wait_for_all(prepared.session)
            return result


def _follow(prepared: PreparedRun, config: RunConfig, started: float) -> RunResult:
    """Trains on a rank that is not the first: with the others, and without a trace."""
    folder = Path(told_by_first(prepared.session, prepared.ranks, None))
    progress = Progress() if prepared.checkpoint is None else prepared.checkpoint.progress
    run = FollowingRun(prepared, config, RunFolder(folder), progress, lambda event: None)
    trainer = Trainer(prepared.session, run.plan, progress, run, run.make_best_again())
    begun = RunStarted(folder, {}, prepared.data.total_steps, progress.step, {}, ())
    finished = trainer.train()
    result = report_run(run, RunOutcome(begun, trainer.best, finished, trainer.time, time.perf_counter() - started))
    wait_for_all(prepared.session)
    return result


def _load(prepared: PreparedRun, config: RunConfig) -> FitReport:
    """Loads the parameters of a seed, and the state of the optimizer where a run goes on."""
    new_head = config.model.new_head and prepared.checkpoint is None
    parameters, fit = prepared.source.fit(prepared.head, seed=config.run.seed, new_head=new_head)
    if prepared.training is not None:
        from_data = prepared.head.initial_parameters(prepared.training.batch)
        parameters |= {name: value for name, value in from_data.items() if name in fit.initialized}
    prepared.session.load({**parameters, **_first_of_adapter(prepared, config.run.seed)})
    if prepared.checkpoint is not None:
        prepared.session.restore(complete_state(prepared.checkpoint.optimizer, prepared.table))
    return fit


def _first_of_adapter(prepared: PreparedRun, seed: int) -> Parameters:
    """What an adapter begins with: where it stood, or new values, which depend on nothing but the seed and the name."""
    own = own_names(prepared.adapter, prepared.table)
    new = {name: initial_value(name, prepared.table[name], 0.0, seed) for name in prepared.table if name in own}
    return {**new, **prepared.begun_adapter}


@contextmanager
def _folder_of(prepared: PreparedRun, config: RunConfig, suffix: str) -> Iterator[tuple[RunFolder, Sequence[str]]]:
    """The folder of the run: that which goes on, or a new one, which goes again where nothing could be kept."""
    if prepared.resumed is not None:
        yield prepared.resumed, ()
        return
    with RunFolder.begin(config, suffix, prepared.keeps_rows and not suffix) as (folder, notes):
        try:
            yield folder, notes
        except BaseException:
            folder.discard_if_useless()
            raise


def _write_config(config: RunConfig, folder: RunFolder) -> RunConfig:
    """Writes the configuration so that it means the same from every working folder; returns it as written."""
    stored = config.model_copy(
        update={
            "model": config.model.model_copy(
                update={"path": absolute(config.model.path), "adapter": absolute(config.model.adapter)}
            ),
            "train": config.train.model_copy(update={"distill": _absolute_teacher(config)}),
            "data": absolute_files(config.data),
            "run": config.run.model_copy(update={"output": str(folder.path.resolve())}),
        }
    )
    folder.write_config(stored)
    return stored


def _absolute_teacher(config: RunConfig) -> DistillOptions:
    options = config.train.distill
    return options.model_copy(update={"teacher": absolute(options.teacher)})
