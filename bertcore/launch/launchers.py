"""The launchers that come with bertcore: this machine itself, ssh, Open MPI and Slurm."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import ClassVar

from bertcore.contracts.launcher import Launcher


class LocalLauncher(Launcher):
    """Starts a command on this machine."""

    name: ClassVar[str] = "local"
    description: ClassVar[str] = "this machine, whatever the hostfile calls it"
    program: ClassVar[str] = "env"

    def command(self, host: str, folder: str, words: Sequence[str]) -> list[str]:
        """The command as it is, in its folder."""
        return ["env", f"--chdir={folder}", *words]


class SshLauncher(Launcher):
    """Starts a command by ssh; the keys of the hosts must be known, and no password be asked for."""

    name: ClassVar[str] = "ssh"
    description: ClassVar[str] = "ssh without a password (the default for other machines)"
    program: ClassVar[str] = "ssh"

    _options: ClassVar[tuple[str, ...]] = (
        "-T",  # no terminal: what the agent writes are messages
        *("-o", "BatchMode=yes"),  # a question for a password would be asked of nobody
        *("-o", "ConnectTimeout=10"),
        *("-o", "ServerAliveInterval=5"),
        *("-o", "ServerAliveCountMax=3"),
    )

    def command(self, host: str, folder: str, words: Sequence[str]) -> list[str]:
        """ssh hands one line to the shell of the other side, so that every word is quoted for that."""
        return ["ssh", *self._options, "--", host, f"cd {shlex.quote(folder)} && exec {shlex.join(words)}"]


class OpenMpiLauncher(Launcher):
    """Starts a command by Open MPI's ``mpirun``, through whatever that starts programs with."""

    name: ClassVar[str] = "openmpi"
    description: ClassVar[str] = "Open MPI's mpirun, one process a host"
    program: ClassVar[str] = "mpirun"

    def command(self, host: str, folder: str, words: Sequence[str]) -> list[str]:
        """One process, which gets standard input as the first of its job."""
        return ["mpirun", "--host", f"{host}:1", "-np", "1", "--wdir", folder, *words]


class SlurmLauncher(Launcher):
    """Starts a command by ``srun`` within an allocation, as a step of its own on a host."""

    name: ClassVar[str] = "slurm"
    description: ClassVar[str] = "srun, within an allocation of salloc or sbatch"
    program: ClassVar[str] = "srun"

    def command(self, host: str, folder: str, words: Sequence[str]) -> list[str]:
        """One task on the host, beside other steps."""
        return ["srun", "--overlap", "--unbuffered", "-N1", "-n1", "-w", host, f"--chdir={folder}", *words]


LOCAL = LocalLauncher()
SSH = SshLauncher()
OPEN_MPI = OpenMpiLauncher()
SLURM = SlurmLauncher()
