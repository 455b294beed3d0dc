"""How a module of bertcore is run on a host, and what this machine knows of addresses."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bertcore.contracts.launcher import Launcher

AGENT_MODULE = "bertcore.launch.agent"

_PASSED_ON = ("PYTHON", "BERTCORE_", "NCCL_", "GLOO_", "HCCL_", "MS_", "ASCEND_", "OMP_", "MKL_", "HF_")
_NOT_PASSED_ON = ("PYTHONSTARTUP", "PYTHONINSPECT", "MS_ROLE", "MS_NODE_ID")


@dataclass(frozen=True)
class Transport:
    """What runs a module on a host.

    Attributes:
        host: name or address, as the hostfile has it.
        launcher: how a command is started there.
        folder: working folder there; that of this process, which every host must have.
        python: interpreter there, in whose environment bertcore is installed.
    """

    host: str
    launcher: Launcher
    folder: str
    python: str = sys.executable

    def module(self, name: str, *arguments: str) -> list[str]:
        """The command that runs a Python module on the host, with the variables of this process that concern it."""
        variables = [f"{key}={value}" for key, value in passed_on().items()]
        return self.launcher.command(self.host, self.folder, ["env", *variables, self.python, "-m", name, *arguments])


def passed_on(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that every process of a job gets, on every host: those of Python, of bertcore and of frameworks."""
    variables = os.environ if environment is None else environment
    return {
        key: value
        for key, value in sorted(variables.items())
        if key.startswith(_PASSED_ON) and key not in _NOT_PASSED_ON and "\n" not in value
    }


def is_this_machine(name: str) -> bool:
    """Whether a name or an address of a hostfile is one of this machine's own."""
    if name.lower().rstrip(".") in ("localhost", socket.gethostname().lower(), socket.getfqdn().lower()):
        return True
    try:
        found = socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(_is_own(family, place) for family, _, _, _, place in found)


def free_port(neighbours: int = 2) -> int:
    """A port of this machine on which nobody listens at this moment, nor on those behind it.

    Args:
        neighbours: how many in a row; MindSpore's scheduler takes the one behind torch's.
    """
    for _ in range(100):
        sockets = [socket.socket()]
        try:
            sockets[0].bind(("", 0))
            first: int = sockets[0].getsockname()[1]
            for port in range(first + 1, first + neighbours):
                sockets.append(socket.socket())
                sockets[-1].bind(("", port))
            return first
        except (OSError, OverflowError):
            continue
        finally:
            for one in sockets:
                one.close()
    raise OSError("no free ports")


def meeting_address(names: Sequence[str], first_is_local: bool) -> str:
    """The address at which all hosts reach the first one."""
    if len(names) == 1 and first_is_local:
        return "127.0.0.1"
    return names[0]


def _is_own(family: int, place: tuple[object, ...]) -> bool:
    """Whether a socket can be bound to an address, which only those of this machine allow."""
    try:
        if ipaddress.ip_address(str(place[0]).partition("%")[0]).is_unspecified:
            return False
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.bind(place)
        return True
    except (OSError, ValueError):
        return False
