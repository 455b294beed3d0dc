"""What must be the same on every host, compared before anything starts.

``python -m bertcore.launch.preflight FILE...`` runs on each host, by the transport that will run the agent there, and
prints one line of JSON: so a host that cannot be reached, or has another bertcore, is told of by name, in a second, and
not by a time-out of a framework.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bertcore.errors import DeviceError
from bertcore.launch.hostfile import Host
from bertcore.launch.transports import Transport, free_port
from bertcore.version import __version__

SECONDS = 60.0
"""How long a host may take to answer."""

_WITH_DEVICES = "--devices"
_MARK = "bertcore-preflight "


@dataclass(frozen=True)
class HostFacts:
    """What a host says of itself.

    Attributes:
        version: of bertcore.
        python: version of the interpreter.
        port: one that is free, as the next one is.
        devices: name of each backend that works there to its devices; empty where nobody asked.
        checksums: of each file that was asked for, or None where it is not there.
    """

    version: str
    python: str
    port: int
    devices: Mapping[str, Sequence[str]]
    checksums: Mapping[str, str | None]


def facts_here(files: Sequence[str], *, with_devices: bool = False) -> HostFacts:
    """What this machine says of itself.

    Args:
        files: whose checksums are wanted.
        with_devices: whether the frameworks are imported to tell their devices.
    """
    python = ".".join(str(part) for part in sys.version_info[:3])
    checksums = {file: _checksum(Path(file)) for file in files}
    return HostFacts(__version__, python, free_port(), _devices() if with_devices else {}, checksums)


def _devices() -> dict[str, list[str]]:
    from bertcore.plugins.registry import Registry

    backends = {name: entry.item for name, entry in Registry().backends.items()}
    return {name: backend.available_devices() for name, backend in backends.items() if backend.problem() is None}


def facts_of(
    hosts: Sequence[tuple[Host, Transport]], files: Sequence[str], *, with_devices: bool = False
) -> list[HostFacts]:
    """Asks all hosts at once.

    Args:
        hosts: and how each is reached.
        files: whose content must be the same, by the paths that each host has them under.
        with_devices: whether they are asked for their devices.

    Raises:
        DeviceError: a host cannot be reached, or has no bertcore, or other files or another version than the first.
    """
    words = [*([_WITH_DEVICES] if with_devices else []), *files]
    with ThreadPoolExecutor(max_workers=32) as pool:
        found = list(pool.map(lambda host: _ask(host[0], host[1], words), hosts))
    first = hosts[0][0]
    for (host, _), facts in zip(hosts[1:], found[1:], strict=True):
        for problem, remedy in _differences(first, found[0], facts):
            raise DeviceError(f"the host {host.name} {problem}", remedy, origin=host.origin, code="host-differs")
    return found


def _ask(host: Host, transport: Transport, words: Sequence[str]) -> HostFacts:
    command = transport.module("bertcore.launch.preflight", *words)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise _unreachable(host, f"no answer within {SECONDS:.0f} s") from None
    except OSError as error:
        raise _unreachable(host, f"{command[0]}: {error.strerror}") from None
    # A shell may greet, before and after.
    line = next((line for line in done.stdout.splitlines() if line.startswith(_MARK)), None)
    if line is None:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise _unreachable(host, said[-1].strip() if said else f"exit code {done.returncode}")
    values = json.loads(line.removeprefix(_MARK))
    return HostFacts(values["version"], values["python"], int(values["port"]), values["devices"], values["checksums"])


def _differences(first: Host, own: HostFacts, other: HostFacts) -> Iterator[tuple[str, str]]:
    if other.version != own.version:
        yield f"has bertcore {other.version}, and {first.name} has {own.version}", "install one version everywhere"
    for file, checksum in own.checksums.items():
        if other.checksums.get(file) is None and checksum is not None:
            yield f"does not have {file}", f"copy it from {first.name}, or put it where all hosts see it"
        elif other.checksums.get(file) != checksum:
            yield f"has another {file} than {first.name}", "copy one of them to all hosts"


def _unreachable(host: Host, reason: str) -> DeviceError:
    missing = "No module named" in reason and "bertcore" in reason
    return DeviceError(
        f"the host {host.name} cannot take part: {reason}",
        "install bertcore there, in the same place as here"
        if missing
        else f"it must be reachable without a password: ssh {host.name} true",
        origin=host.origin,
        code="host-unreachable",
    )


def _checksum(path: Path) -> str | None:
    """Of a file, or of all files of a folder with their names; None where there is nothing that can be read."""
    digest = hashlib.sha256()
    try:
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(str(file.relative_to(path)).encode() + b"\0")
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError:
        return None
    return digest.hexdigest()


def main(arguments: Sequence[str]) -> None:
    """Prints what this machine says of itself."""
    files = [word for word in arguments if word != _WITH_DEVICES]
    facts: dict[str, Any] = asdict(facts_here(files, with_devices=_WITH_DEVICES in arguments))
    print(_MARK + json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
