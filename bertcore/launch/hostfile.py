"""Hostfiles: which hosts take part, and how many processes each of them has room for.

The format is that of Open MPI and DeepSpeed, a host a line::

    # two machines of eight processors each, and one of four
    192.168.0.1 slots=8
    node-2      slots=8
    fe80::1     slots=4

A host without ``slots`` has one, which is said in a note.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bertcore.errors import DataError, Origin, UsageError
from bertcore.near_misses import nearest_name

_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?")
_MOST_SLOTS = 1024
_LOOKS_NUMERIC = re.compile(r"[\d.]+")


@dataclass(frozen=True)
class Host:
    """A machine that takes part.

    Attributes:
        name: a name or an address, as ssh takes it.
        devices: numbers of the devices that are used, one process each.
        origin: where it stands; None of this machine, which no file names.
    """

    name: str
    devices: tuple[int, ...]
    origin: Origin | None = None

    @property
    def slots(self) -> int:
        """Processes of this host."""
        return len(self.devices)


@dataclass(frozen=True)
class Hostfile:
    """The hosts of a file, in its order, and what the user should read about it."""

    hosts: tuple[Host, ...]
    notes: tuple[str, ...] = ()


def read_hostfile(path: Path) -> Hostfile:
    """Reads a hostfile.

    Raises:
        DataError: it cannot be read, or a line is no host with a number of slots, or names a host a second time.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start} is not UTF-8",
            "write a hostfile as plain text, HOST slots=N a line",
            origin=Origin(str(path)),
            code="not-utf8",
        ) from None
    except OSError as error:
        raise DataError(
            (error.strerror or str(error)).lower(),
            "give a file of lines HOST slots=N",
            origin=Origin(str(path)),
            code="hostfile-wrong",
        ) from None
    hosts: dict[str, Host] = {}
    bare: list[str] = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        origin = Origin(str(path), number)
        host = _host(words, origin)
        _refuse_second(host, hosts)
        hosts[_identity(host.name)] = host
        if len(words) == 1:
            bare.append(host.name)
    if not hosts:
        raise _wrong("no host in it", "write HOST slots=N a line", Origin(str(path)))
    notes = (f"{path}: no slots for {', '.join(bare)}: one process each",) if bare else ()
    return Hostfile(tuple(hosts.values()), notes)


def chosen_hosts(hosts: Sequence[Host], include: Sequence[str] = (), exclude: Sequence[str] = ()) -> tuple[Host, ...]:
    """The hosts and devices that the user named, or all but those.

    Args:
        hosts: of the hostfile.
        include: as ``node-1`` or ``node-1:0,2`` or ``[fe80::1]:0``; only these take part, and in the order of the file.
        exclude: in the same form; these take no part.

    Raises:
        UsageError: a host or device is not in the hostfile, or nothing is left.
    """
    known = {_identity(host.name): host for host in hosts}
    kept = {name: set(host.devices) for name, host in known.items()}
    if include:
        kept = {name: set() for name in known}
        for text in include:
            name, devices = _selection(text, "--include", known)
            kept[name] |= devices
    for text in exclude:
        name, devices = _selection(text, "--exclude", known)
        kept[name] -= devices
    left = [
        replace(host, devices=tuple(device for device in host.devices if device in kept[name]))
        for name, host in known.items()
        if kept[name]
    ]
    if not left:
        raise UsageError("no host is left to run on", "exclude less, or include a host", code="hosts-wrong")
    return tuple(left)


def is_ipv6(name: str) -> bool:
    """Whether a host's name is an IPv6 address, which stands in brackets where a port may follow."""
    try:
        return ipaddress.ip_address(name.partition("%")[0]).version == 6
    except ValueError:
        return False


def _host(words: Sequence[str], origin: Origin) -> Host:
    name = words[0]
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if not _is_host(name):
        raise _wrong(
            f"{words[0]!r} is no host name and no address", "write HOST slots=N, as: 192.168.0.1 slots=8", origin
        )
    slots = 1
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if key != "slots" or not equals:
            raise _wrong(f"{word!r} is not slots=N", f"write: {name} slots=8", origin)
        if not value.isascii() or not value.isdecimal() or not 1 <= int(value[:9]) <= _MOST_SLOTS:
            raise _wrong(
                f"slots={value} is no number of processes from 1 to {_MOST_SLOTS}",
                "leave the host out, or give it a slot",
                origin,
            )
        slots = int(value)
    if len(words) > 2:
        raise _wrong(f"{words[2]!r} is one word too many", f"write: {name} slots={slots}", origin)
    return Host(name, tuple(range(slots)), origin)


def _is_host(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
        return True
    except ValueError:
        # Digits and dots alone are an address that was written wrong, as 192.168.0.256, and no name.
        return _NAME.fullmatch(name) is not None and not _LOOKS_NUMERIC.fullmatch(name)


def _identity(name: str) -> str:
    """What two spellings of one host have in common."""
    address, percent, zone = name.partition("%")
    try:
        return f"{ipaddress.ip_address(address)}{percent}{zone}"
    except ValueError:
        return name.rstrip(".").lower()


def _refuse_second(host: Host, hosts: Mapping[str, Host]) -> None:
    first = hosts.get(_identity(host.name))
    if first is not None and first.origin is not None:
        assert host.origin is not None
        raise _wrong(
            f"the host {host.name} stands in line {first.origin.line} already",
            "give all its slots in one line",
            host.origin,
        )


def _selection(text: str, option: str, known: Mapping[str, Host]) -> tuple[str, set[int]]:
    """The host that a word of ``--include`` or ``--exclude`` names, and its devices; all where it names none."""
    name, numbers = text, ""
    if text.startswith("["):
        name, _, numbers = text[1:].partition("]")
        numbers = numbers.removeprefix(":")
    elif not is_ipv6(text):
        name, _, numbers = text.partition(":")
    host = known.get(_identity(name))
    if host is None:
        near = nearest_name(name, [other.name for other in known.values()])
        remedy = f"did you mean {near}?" if near else f"it has {', '.join(other.name for other in known.values())}"
        raise UsageError(f"{option} {text}: the hostfile has no host {name!r}", remedy, code="hosts-wrong")
    if not numbers:
        return _identity(name), set(host.devices)
    words = numbers.split(",")
    if not all(word.isascii() and word.isdecimal() and int(word[:9]) in host.devices for word in words):
        raise UsageError(
            f"{option} {text}: {name} has the devices 0 to {host.slots - 1}",
            f"write {name}:0,1 for its first two",
            code="hosts-wrong",
        )
    return _identity(name), {int(word) for word in words}


def _wrong(problem: str, remedy: str, origin: Origin) -> DataError:
    return DataError(problem, remedy, origin=origin, code="hostfile-wrong")
