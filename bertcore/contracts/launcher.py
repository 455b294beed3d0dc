"""The contract of a launcher: how a command is started on a host, and what connects it to this process.

Nothing else of a job depends on it. The command is bertcore's agent, which starts the processes of its host, reads
what it is to do from standard input and reports on standard output; a launcher passes both on, unbuffered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar


class Launcher(ABC):
    """Base of all launchers; an instance is registered by ``bertcore_register_launchers``.

    Class attributes:
        name: as in ``--launcher ssh``.
        description: one line.
        program: what must be installed on this machine.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    program: ClassVar[str]

    @abstractmethod
    def command(self, host: str, folder: str, words: Sequence[str]) -> list[str]:
        """Returns what is to be run on this machine so that a command runs on a host.

        Args:
            host: name or address, as the hostfile has it.
            folder: working folder there.
            words: program and arguments, which must arrive there as they are.
        """
