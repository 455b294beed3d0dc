"""What ``bertcore doctor --hostfile`` finds out of the hosts of a job: each by itself, then all of them together."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bertcore.errors import BertcoreError, DeviceError
from bertcore.launch.hostfile import Host
from bertcore.launch.job import JobPlan, Launch, LaunchOptions
from bertcore.launch.preflight import HostFacts

TRIAL_TIMEOUT = 120.0


def examine_hosts(options: LaunchOptions, say: Callable[[str], None]) -> bool:
    """Asks every host, and lets all of them add up an array on each backend that all have.

    Args:
        options: which hosts, and how they are reached.
        say: takes a line for the user.

    Returns:
        Whether a run could be trained on them.

    Raises:
        BertcoreError: the hostfile is wrong.
    """
    launch = Launch(options, JobPlan((), Path("."), ()), say)
    hosts = launch.hosts()
    answers = [_ask(launch, host, say) for host in hosts]
    if not all(answers):
        return False
    try:
        launch.facts(hosts)  # they have the same version
    except DeviceError as error:
        say(f"  problem: {error.cause}")
        say(f"  remedy: {error.remedy}")
        return False
    common = set.intersection(*(set(facts.devices) for facts in answers if facts is not None))
    if not common:
        say("no backend works on all hosts")
    outcomes = [_try(options, backend, say) for backend in sorted(common)]
    return bool(outcomes) and all(outcomes)


def _ask(launch: Launch, host: Host, say: Callable[[str], None]) -> HostFacts | None:
    try:
        facts = launch.facts([host], with_devices=True)[0]
    except DeviceError as error:
        say(f"{host.name}: {error.problem}")
        say(f"  remedy: {error.remedy}")
        return None
    say(f"{host.name}: {host.slots} processes, bertcore {facts.version}, Python {facts.python}")
    for backend, devices in facts.devices.items():
        say(f"  {backend}: {', '.join(devices)}")
        _warn_of_slots(host, devices, say)
    return facts


def _warn_of_slots(host: Host, devices: Sequence[str], say: Callable[[str], None]) -> None:
    best = [device for device in devices if device.partition(":")[0] == devices[0].partition(":")[0]]
    if devices[0] != "cpu" and len(best) <= max(host.devices):
        say(f"  note: {host.slots} processes, and {len(best)} devices {best[0].partition(':')[0]}")


def _try(options: LaunchOptions, backend: str, say: Callable[[str], None]) -> bool:
    with tempfile.TemporaryDirectory(prefix="bertcore-doctor-") as folder:
        plan = JobPlan((backend, "auto"), Path(folder) / "trial", module="bertcore.launch.trial")
        try:
            code = Launch(replace(options, timeout=options.timeout or TRIAL_TIMEOUT), plan, say).run()
        except BertcoreError as error:
            say(f"{backend}: {error.cause}")
            say(f"  remedy: {error.remedy}")
            return False
        return code == 0
