"""The options by which a run is trained in several processes, and what they start."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertcore.cli.completion import registered
from bertcore.cli.output import say

if TYPE_CHECKING:
    from bertcore.config import RunConfig
    from bertcore.plugins.registry import Registry


@dataclass(frozen=True)
class GivenLaunch:
    """What a command is told of processes.

    Attributes:
        options: of this module, by their names in Python.
    """

    options: Mapping[str, Any]

    @property
    def is_wanted(self) -> bool:
        """Whether this process is to start others, and is none of those itself."""
        from bertcore.contracts.ranks import JOB_VARIABLE

        return any(self.options.values()) and JOB_VARIABLE not in os.environ

    def launch(self, registry: Registry, arguments: Sequence[str], output: Path, files: Sequence[str]) -> None:
        """Starts the processes, and ends as the first of them.

        Args:
            registry: where launchers are looked up.
            arguments: of this command.
            output: the run folder.
            files: what must be the same on all hosts.

        Raises:
            BertcoreError: the hosts are chosen wrong, or one of them failed.
            click.exceptions.Exit: a process ended with another code than 0.
        """
        from bertcore.engine.ranks import this_rank
        from bertcore.errors import UsageError
        from bertcore.launch.job import JobPlan, Launch, LaunchOptions

        ranks = this_rank()
        if not ranks.is_alone:
            raise UsageError(
                f"{ranks.started_by} has started {ranks.size} processes, each of which is to start more",
                f"start bertcore without {ranks.started_by}, or leave out --nproc and --hostfile",
                code="arguments-conflict",
            )
        chosen = dict(self.options)
        name = chosen.pop("launcher")
        options = LaunchOptions(launcher=None if name is None else registry.launcher(name), **chosen)
        code = Launch(options, JobPlan(tuple(arguments), output, tuple(files)), _say).run()
        if code:
            raise click.exceptions.Exit(code)


def launch_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--nproc``, ``--hostfile`` and what belongs to them; the function takes them as one ``launch``."""
    names = ("nproc", "hostfile", "include", "exclude", "launcher", "restarts", "timeout", "dry_run")

    @functools.wraps(function)
    def with_launch(*arguments: Any, **others: Any) -> Any:
        launch = GivenLaunch({name: others.pop(name) for name in names})
        return function(*arguments, launch=launch, **others)

    for add in (
        click.option("--dry-run", is_flag=True, help="Print what would be started on each host, and start nothing."),
        click.option(
            "--rank-timeout",
            "timeout",
            type=click.FloatRange(min=1),
            metavar="SECONDS",
            help="How long all other processes wait for one. Default: ten times the slowest step, at least 60.",
        ),
        click.option(
            "--restarts",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="Go on from the last checkpoint when a process or a host dies, so many times.",
        ),
        click.option(
            "--launcher",
            metavar="NAME",
            shell_complete=registered("launchers"),
            help="How other hosts are reached: ssh (default), openmpi, slurm.",
        ),
        click.option(
            "--exclude", metavar="HOST[:0,2]", multiple=True, help="Leave out a host, or these devices of it."
        ),
        click.option("--include", metavar="HOST[:0,2]", multiple=True, help="Use only this host, or these devices."),
        click.option(
            "--hostfile", type=click.Path(path_type=Path), help="Train on several hosts: HOST slots=N a line."
        ),
        click.option("--nproc", type=click.IntRange(min=1), metavar="N", help="Train in N processes on this machine."),
    ):
        with_launch = add(with_launch)
    return with_launch


def files_of(config: RunConfig) -> list[str]:
    """What every host reads for itself, of the files and folders that a configuration names."""
    from bertcore.config import FILE_OPTIONS

    named = [config.model.path, config.model.adapter, *(getattr(config.data, name, None) for name in FILE_OPTIONS)]
    return [str(name) for name in named if name is not None and Path(str(name)).exists()]


def _say(line: str) -> None:
    say(line, err=True)
