"""A run in several processes: which hosts, what each is told, and what the user reads of its end.

::

    bertcore run ... --hostfile hosts
      preflight           every host answers, has the same bertcore and the same files
      Supervisor          an agent a host, a process a slot, see :mod:`bertcore.launch.messages`
        rank 0              speaks here
        rank 1, 2, ...      speak into OUTPUT-ranks/rank-N.log of their host
      --restarts          the same again from the last checkpoint, on the hosts that still answer
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcore.contracts.launcher import Launcher
from bertcore.contracts.ranks import LOST_OTHERS
from bertcore.engine.interrupt import Interrupted
from bertcore.engine.ranks import TIMEOUT
from bertcore.engine.run_folder import RunFolder
from bertcore.errors import BertcoreError, DeviceError, UsageError, printable
from bertcore.launch.failures import FIRST, Failure, Outcome
from bertcore.launch.hostfile import Host, chosen_hosts, read_hostfile
from bertcore.launch.launchers import LOCAL, SSH
from bertcore.launch.messages import Job, Process
from bertcore.launch.placement import MeetingPoint, environment, placements
from bertcore.launch.preflight import HostFacts, facts_of
from bertcore.launch.supervisor import AgentCommand, Supervisor
from bertcore.launch.transports import (
    AGENT_MODULE,
    Transport,
    free_port,
    is_this_machine,
    meeting_address,
)

PATIENCE = 120.0
"""Seconds that the processes have for a step and a checkpoint when the user stops the run."""

_MISTAKES = {2, 3, 4, 5, 7, 8, 9}
"""Exit codes of what would fail again: see :mod:`bertcore.errors`."""


@dataclass(frozen=True)
class LaunchOptions:
    """How many processes, and where.

    Attributes:
        nproc: processes on this machine, where there is no hostfile.
        hostfile: hosts with their slots.
        include: of the hostfile, as ``node-1:0,2``; all where none is named.
        exclude: the same of those that take no part.
        launcher: what starts a command on another host; None for ssh.
        restarts: how often the run is started again after a process or a host was lost.
        timeout: seconds that the processes wait for one of them; None for what follows from the steps.
        dry_run: says what would be started, and starts nothing.
    """

    nproc: int | None = None
    hostfile: Path | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    launcher: Launcher | None = None
    restarts: int = 0
    timeout: float | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class JobPlan:
    """What is launched.

    Attributes:
        arguments: of ``bertcore``, for every process.
        output: the run folder; the logs of all ranks but the first lie beside it.
        files: what must be the same on every host.
        module: that every process runs.
    """

    arguments: tuple[str, ...]
    output: Path
    files: tuple[str, ...] = ()
    module: str = "bertcore"


@dataclass
class Launch:
    """Launches a run, and again where it may.

    Args:
        options: how many processes, and where.
        plan: what is launched.
        say: takes a line for the user.
    """

    options: LaunchOptions
    plan: JobPlan
    say: Callable[[str], None]

    def run(self) -> int:
        """Returns the exit code of the first rank, which has said how it ended.

        Raises:
            UsageError: the hosts are chosen wrong.
            DataError: the hostfile is wrong.
            DeviceError: a host cannot take part, or a process or a host was lost.
            Interrupted: the user stopped it.
        """
        hosts = self.hosts()
        if self.options.dry_run:
            self._describe(hosts)
            return 0
        arguments, left = self.plan.arguments, self.options.restarts
        while True:
            outcome = self._once(hosts, arguments)
            if outcome.signal is not None:
                return _code_after_signal(outcome, self.plan.output)
            failure = outcome.failure
            if failure is None:
                return 0
            is_mistake = failure.code in _MISTAKES
            has_spoken = failure.process == FIRST and (failure.code or 0) > 0 and failure.code != LOST_OTHERS
            if has_spoken and (is_mistake or not left):
                return failure.code or 0
            error = self._error(failure)
            if is_mistake or not left:
                raise error
            left -= 1
            self.say(f"{error.cause}: started again, {left} more times at most")
            hosts = self._still_there(hosts)
            arguments = self._arguments_to_go_on()

    def hosts(self) -> tuple[Host, ...]:
        """The hosts that take part.

        Raises:
            UsageError: they are chosen wrong.
            DataError: the hostfile is wrong.
        """
        options = self.options
        if options.hostfile is None:
            if options.include or options.exclude:
                raise UsageError(
                    "--include and --exclude choose hosts of a hostfile, and none is given",
                    "give --hostfile, or leave them out",
                    code="arguments-conflict",
                )
            return (Host("localhost", tuple(range(options.nproc or 1))),)
        if options.nproc is not None:
            raise UsageError(
                "--nproc counts processes of this machine, and --hostfile names those of each host",
                "give one of them",
                code="arguments-conflict",
            )
        found = read_hostfile(options.hostfile)
        for note in found.notes:
            self.say(f"note: {note}")
        return chosen_hosts(found.hosts, options.include, options.exclude)

    def _transports(self, hosts: Sequence[Host]) -> list[Transport]:
        other = self.options.launcher or SSH
        return [Transport(host.name, LOCAL if is_this_machine(host.name) else other, os.getcwd()) for host in hosts]

    def _once(self, hosts: Sequence[Host], arguments: Sequence[str]) -> Outcome:
        transports = self._transports(hosts)
        point = self._meeting_point(hosts, transports)
        commands = [
            AgentCommand(host.name, transport.module(AGENT_MODULE), job)
            for host, transport, job in zip(hosts, transports, self._jobs(hosts, point, arguments), strict=True)
        ]
        return Supervisor(commands, PATIENCE, limit=self.options.timeout).run()

    def _meeting_point(self, hosts: Sequence[Host], transports: Sequence[Transport]) -> MeetingPoint:
        is_local = transports[0].launcher is LOCAL
        if len(hosts) == 1 and is_local:
            return MeetingPoint("127.0.0.1", free_port())
        names = [host.name for host in hosts]
        return MeetingPoint(meeting_address(names, is_local), self.facts(hosts)[0].port)

    def facts(self, hosts: Sequence[Host], *, with_devices: bool = False) -> list[HostFacts]:
        """What each of the hosts says of itself.

        Raises:
            DeviceError: one of them cannot take part.
        """
        reached = list(zip(hosts, self._transports(hosts), strict=True))
        return facts_of(reached, self.plan.files, with_devices=with_devices)

    def _jobs(self, hosts: Sequence[Host], point: MeetingPoint, arguments: Sequence[str]) -> list[Job]:
        jobs: list[list[Process]] = [[] for _ in hosts]
        for placement in placements(hosts):
            log = None if placement.rank == 0 else str(self.log_of(placement.rank))
            # Longer than the launcher's own patience, which knows who is missing.
            timeout = TIMEOUT if self.options.timeout is None else 2 * self.options.timeout + 60
            variables = environment(placement, hosts, point, timeout)
            command = (sys.executable, "-m", self.plan.module, *arguments)
            jobs[placement.host].append(Process(f"rank {placement.rank}", command, variables, log))
        return [Job(os.getcwd(), tuple(processes), PATIENCE) for processes in jobs]

    def log_of(self, rank: int) -> Path:
        """Where a rank writes what the user does not see; on its own host."""
        return self.plan.output.with_name(f"{self.plan.output.name}-ranks") / f"rank-{rank}.log"

    def _arguments_to_go_on(self) -> tuple[str, ...]:
        """Those of the run itself where it left nothing that one could go on with."""
        folder = RunFolder(self.plan.output)
        if folder.config.is_file():
            with folder.go_on():  # what the killed processes left half-done is put right before several look
                pass
            return ("run", "--resume", str(self.plan.output))
        return self.plan.arguments

    def _still_there(self, hosts: Sequence[Host]) -> tuple[Host, ...]:
        """The hosts that still answer: a run goes on with the same batches, whatever the number of ranks."""
        left: list[Host] = []
        for host, transport in zip(hosts, self._transports(hosts), strict=True):
            try:
                facts_of([(host, transport)], ())
                left.append(host)
            except DeviceError as error:
                self.say(f"note: {error.cause}: goes on without it")
        if not left:
            raise DeviceError("no host answers any more", "see to the network", code="host-unreachable")
        return tuple(left)

    def _error(self, failure: Failure) -> BertcoreError:
        place = f"{failure.process} on {failure.host}" if failure.process else f"the host {failure.host}"
        log = ""
        if failure.process not in ("", FIRST):
            log = f"; its last lines are in {self.log_of(int(failure.process.removeprefix('rank ')))} there"
        for line in failure.last_lines if failure.process != FIRST else ():
            self.say(f"{place}: {printable(line)}")
        remedy = f"go on with: bertcore run --resume {self.plan.output}{log}"
        if failure.absent is not None:
            return DeviceError(
                f"{place} does not come to where all other ranks wait for it, for {failure.absent:.0f} s",
                remedy,
                code="ranks-lost",
            )
        if failure.code is None:
            reason = failure.last_lines[-1].strip() if failure.last_lines else "its agent ended"
            return DeviceError(f"{place} is lost: {printable(reason)}", remedy, code="ranks-lost")
        if failure.code < 0:
            name = signal.Signals(-failure.code).name
            return DeviceError(f"{place} was killed by {name} after {failure.seconds:.0f} s", remedy, code="ranks-lost")
        if failure.code == LOST_OTHERS:
            return DeviceError(f"{place} lost the others", remedy, code="ranks-lost")
        return DeviceError(f"{place} ended with exit code {failure.code}", remedy, code="ranks-lost")

    def _describe(self, hosts: Sequence[Host]) -> None:
        point = MeetingPoint(meeting_address([host.name for host in hosts], is_this_machine(hosts[0].name)), 0)
        transports = self._transports(hosts)
        for host, transport, job in zip(hosts, transports, self._jobs(hosts, point, self.plan.arguments), strict=True):
            self.say(f"{host.name}: {' '.join(transport.module(AGENT_MODULE))}")
            for process in job.processes:
                variables = " ".join(f"{key}={value}" for key, value in process.environment.items())
                port = variables.replace("MASTER_PORT=0", "MASTER_PORT=(a free one)")
                log = "" if process.log is None else f" > {process.log}"
                self.say(f"  {process.name}: {port} {' '.join(process.command)}{log}")


def _code_after_signal(outcome: Outcome, output: Path) -> int:
    """Of a job that the user stopped: that of its first rank, which has said where it stopped."""
    assert outcome.signal is not None
    code = outcome.codes.get(FIRST, -signal.SIGKILL)
    if code < 0 or code == LOST_OTHERS:
        problem = "stopped, and the processes did not come to the end of their step in time"
        raise Interrupted(problem, f"go on with: bertcore run --resume {output}", 128 + outcome.signal)
    return code and 128 + outcome.signal
