"""Jobs on two hosts, each a network namespace of this machine with an sshd of its own.

::

    launcher, rank 0, rank 1   |  10.123.7.1  =====  10.123.7.2  |   rank 2, rank 3
                 namespace a   |        a pair of cables         |   namespace b
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.launch.conftest import Ran, weights
from tests.launch.test_faults_of_ranks import LONG, processes_of, wait_until

ADDRESSES = ("10.123.7.1", "10.123.7.2")


@dataclass(frozen=True)
class Hosts:
    """Two hosts that reach each other.

    Attributes:
        folder: of their keys and settings.
        names: of their namespaces.
    """

    folder: Path
    names: tuple[str, str]

    def command(self, *arguments: str | Path) -> list[str]:
        """bertcore on the first host."""
        return ["ip", "netns", "exec", self.names[0], sys.executable, "-m", "bertcore", *map(str, arguments)]

    @property
    def environment(self) -> dict[str, str]:
        """With an ssh that knows the keys of both."""
        return {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def run(self, *arguments: str | Path) -> Ran:
        """Runs bertcore on the first host."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True, timeout=400
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def link(self, state: str) -> None:
        """Plugs the cable in or out."""
        run("ip", "-n", self.names[1], "link", "set", "cable", state)

    def write_hostfile(self, *lines: str) -> Path:
        """Writes a hostfile."""
        file = self.folder / "hosts"
        file.write_text("".join(f"{line}\n" for line in lines))
        return file


def run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=30)


def missing() -> str | None:
    for program in ("ip", "/usr/sbin/sshd", "ssh", "ssh-keygen"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: openssh-server, openssh-client, iproute2)"
    if os.geteuid() != 0:
        return "network namespaces are made by root"
    probe = subprocess.run(["ip", "netns", "add", f"bertcore-probe-{os.getpid()}"], capture_output=True, text=True)
    if probe.returncode:
        return f"no network namespaces here: {probe.stderr.strip()}"
    run("ip", "netns", "del", f"bertcore-probe-{os.getpid()}")
    return None


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("hosts")
    names = (f"bertcore-a-{os.getpid()}", f"bertcore-b-{os.getpid()}")
    try:
        for name in names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", "cable", "netns", names[0], "type", "veth", "peer", "cable", "netns", names[1])
        for name, address in zip(names, ADDRESSES, strict=True):
            run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "cable")
            run("ip", "-n", name, "link", "set", "cable", "up")
        _start_sshd(folder, names)
        yield Hosts(folder, names)
    finally:
        for name in names:
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
            for pid in pids:
                os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _start_sshd(folder: Path, names: tuple[str, str]) -> None:
    for key in ("user", "host", "wrong"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key)
    public = (folder / "host.pub").read_text()
    (folder / "known").write_text("".join(f"{address} {public}" for address in ADDRESSES))
    (folder / "forced").write_text('#!/bin/sh\n[ -n "$SSH_ORIGINAL_COMMAND" ] && exec sh -c "$SSH_ORIGINAL_COMMAND"\n')
    (folder / "forced").chmod(0o755)
    (folder / "sshd_config").write_text(
        f"HostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\nStrictModes no\nPasswordAuthentication no\n"
        f"UsePAM no\nPidFile none\nForceCommand {folder}/forced\n"
    )
    (folder / "ssh_config").write_text(
        f"IdentityFile {folder}/user\nUserKnownHostsFile {folder}/known\nStrictHostKeyChecking yes\n"
    )
    (folder / "bin").mkdir()
    (folder / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    (folder / "bin" / "ssh").chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in names:
        run("ip", "netns", "exec", name, "/usr/sbin/sshd", "-f", folder / "sshd_config", "-E", folder / f"{name}.log")


@pytest.fixture
def arguments(tiny_en, small_tasks, tmp_path, hosts) -> list[str]:
    hostfile = hosts.write_hostfile("# two hosts", f"{ADDRESSES[0]} slots=2", "", f"{ADDRESSES[1]}\tslots=2")
    place = ["--model", str(tiny_en), "--output", str(tmp_path / "run"), "--batch-size", "8"]
    return ["run", *small_tasks("classification", 61), *place, "--hostfile", str(hostfile)]


@pytest.mark.parametrize("backend", ["torch", "mindspore"])
def test_two_hosts_of_two_ranks_train_as_one_process(hosts, arguments, tmp_path, backend) -> None:
    exact = ["--backend", backend, "--epochs", "2", "--set", "train.dropout=false"]
    done = hosts.run(*arguments, *exact)
    assert done.code == 0, done.err
    log = (tmp_path / "run" / "run.log").read_text()
    assert "ranks      4 processes, 2 of them on this host" in log
    assert (tmp_path / "run-ranks" / "rank-3.log").exists()
    alone = [str(tmp_path / "alone") if word == str(tmp_path / "run") else word for word in arguments[:-2]]
    assert hosts.run(*alone, *exact).code == 0
    assert _furthest(tmp_path / "run", tmp_path / "alone") < 1e-5


def test_a_host_that_is_cut_off_is_named_and_nothing_is_left_or_lost(hosts, arguments, tmp_path) -> None:
    said = (tmp_path / "said").open("w")
    process = subprocess.Popen(
        hosts.command(*arguments, *LONG, "--backend", "torch"), env=hosts.environment, stdout=said, stderr=said
    )
    wait_until(lambda: (tmp_path / "run" / "checkpoint").exists())
    cut = time.monotonic()
    hosts.link("down")
    try:
        code = process.wait(timeout=60)
        assert time.monotonic() - cut < 30
        assert code == 6
        text = (tmp_path / "said").read_text()
        assert f"error: the host {ADDRESSES[1]} is lost: no sign of life for 15 s" in text
        assert "Traceback" not in text
        # Its agent heard nothing of the launcher either.
        wait_until(lambda: not [c for c in processes_of(tmp_path / "run").values() if "-m bertcore run" in c], 30)
    finally:
        hosts.link("up")
    _goes_on_to_the_bit(hosts, arguments, tmp_path)


def test_after_a_lost_host_restarts_go_on_with_it_where_it_is_back(hosts, arguments, tmp_path) -> None:
    last = ["--set", "train.max_steps=40"]
    process = subprocess.Popen(
        hosts.command(*arguments, *LONG, *last, "--backend", "torch", "--restarts", "1"),
        env=hosts.environment,
        stdout=subprocess.DEVNULL,
        stderr=(tmp_path / "said").open("w"),
    )
    wait_until(lambda: (tmp_path / "run" / "checkpoint").exists())
    hosts.link("down")
    try:
        wait_until(lambda: "started again" in (tmp_path / "said").read_text(), 30)
    finally:
        hosts.link("up")
    code = process.wait(timeout=120)
    text = (tmp_path / "said").read_text()
    assert code == 0, text
    assert f"the host {ADDRESSES[1]} is lost: no sign of life for 15 s: started again, 0 more times at most" in text
    assert "goes on without it" not in text
    assert "Traceback" not in text
    log = (tmp_path / "run" / "run.log").read_text()
    assert re.search(r"going on from step \d+", log)
    other = [str(tmp_path / "other") if word == str(tmp_path / "run") else word for word in arguments]
    assert hosts.run(*other, *LONG, *last, "--backend", "torch").code == 0
    mine, theirs = weights(tmp_path / "run"), weights(tmp_path / "other")
    assert all((mine[name] == theirs[name]).all() for name in theirs)


def test_a_port_that_another_program_took_is_named_and_the_next_start_takes_another(hosts, arguments, tmp_path) -> None:
    port = 29777
    listening = f"import socket, time; s = socket.create_server(('', {port})); print(flush=True); time.sleep(300)"
    holder = subprocess.Popen(
        ["ip", "netns", "exec", hosts.names[0], sys.executable, "-c", listening], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    # A host finds its port free and loses it before the first rank listens: here it finds a taken one, once.
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import pathlib, socket\n"
        "from bertcore.launch import transports\n"
        f"once, right = pathlib.Path({str(tmp_path / 'once')!r}), transports.free_port\n"
        "def free_port(neighbours=2):\n"
        "    with socket.socket() as trial:\n"
        f"        if once.exists() or trial.connect_ex(('127.0.0.1', {port})):\n"
        "            return right(neighbours)\n"
        "    once.touch()\n"
        f"    return {port}\n"
        "transports.free_port = free_port\n"
    )
    path = f"{patch}:{os.environ.get('PYTHONPATH', '')}"
    try:
        done = subprocess.run(
            hosts.command(*arguments, "--epochs", "1", "--backend", "torch", "--restarts", "1"),
            env={**hosts.environment, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=200,
        )
    finally:
        holder.kill()
        holder.wait()
    assert done.returncode == 0, done.stderr
    assert f"error: the processes cannot meet at port {port} of {ADDRESSES[0]}: Address already in use" in done.stderr
    assert "remedy: start again, which takes another one" in done.stderr
    assert "started again, 0 more times at most" in done.stderr
    assert "Traceback" not in done.stderr


def _goes_on_to_the_bit(hosts: Hosts, arguments: list[str], folder: Path) -> None:
    state = (folder / "run" / "checkpoint" / "state.json").read_text()
    match = re.search(r'"step": (\d+)', state)
    assert match is not None
    last = ["--set", f"train.max_steps={int(match.group(1)) + 8}"]
    done = hosts.run("run", "--resume", folder / "run", *arguments[-2:], *last)
    assert done.code == 0, done.err
    other = [str(folder / "other") if word == str(folder / "run") else word for word in arguments]
    done = hosts.run(*other, *LONG, "--backend", "torch", *last)
    assert done.code == 0, done.err
    mine, theirs = weights(folder / "run"), weights(folder / "other")
    assert all((mine[name] == theirs[name]).all() for name in theirs)


def _furthest(one: Path, other: Path) -> float:
    first, second = weights(one), weights(other)
    return max(float(abs(first[name] - second[name]).max()) for name in first if not name.endswith("key.bias"))


def test_a_host_whose_key_is_another_is_refused_with_sshs_own_reason(hosts, arguments, tmp_path) -> None:
    known = hosts.folder / "known"
    right = known.read_text()
    known.write_text(right.splitlines()[0] + f"\n{ADDRESSES[1]} {(hosts.folder / 'wrong.pub').read_text()}")
    try:
        done = hosts.run(*arguments, "--backend", "torch")
    finally:
        known.write_text(right)
    assert done.code == 6
    assert re.search(
        rf"error: \S+/hosts:4: the host {ADDRESSES[1]} cannot take part: Host key verification failed", done.err
    )
    assert not (tmp_path / "run").exists()


def test_another_version_on_a_host_is_refused(hosts, arguments, tmp_path) -> None:
    patch = hosts.folder / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text("import bertcore.version\nbertcore.version.__version__ = '0.0.9'\n")
    forced = hosts.folder / "forced"
    right = forced.read_text()
    added = f"s#exec env#exec env PYTHONPATH={patch}#; s# PYTHONPATH=/# PYTHONPATH={patch}:/#2"
    command = f"""echo "$SSH_ORIGINAL_COMMAND" | sed '{added}'"""
    forced.write_text(f'#!/bin/sh\nexec sh -c "$({command})"\n')
    try:
        done = hosts.run(*arguments, "--backend", "torch")
    finally:
        forced.write_text(right)
    assert done.code == 6
    assert f"the host {ADDRESSES[1]} has bertcore 0.0.9, and {ADDRESSES[0]} has" in done.err
    assert not (tmp_path / "run").exists()


def test_a_host_that_is_not_there_is_refused(hosts, arguments, tmp_path) -> None:
    hostfile = hosts.write_hostfile(f"{ADDRESSES[0]}", "10.123.7.9 slots=2")
    started = time.monotonic()
    done = hosts.run(*arguments[:-1], hostfile, "--backend", "torch")
    assert done.code == 6
    assert time.monotonic() - started < 30
    assert re.search(r"error: \S+/hosts:2: the host 10.123.7.9 cannot take part: ssh: connect to host", done.err)
    assert f"note: {hostfile}: no slots for {ADDRESSES[0]}: one process each" in done.err
    assert not (tmp_path / "run").exists()


def test_the_doctor_asks_every_host_and_measures_the_net_between_them(hosts) -> None:
    hostfile = hosts.write_hostfile(f"{ADDRESSES[0]} slots=1", f"{ADDRESSES[1]} slots=1")
    done = hosts.run("doctor", "--hostfile", hostfile)
    assert done.code == 0, done.out + done.err
    for address in ADDRESSES:
        assert f"{address}: 1 processes, bertcore " in done.out
    for backend in ("torch", "mindspore"):
        assert re.search(rf"{backend}: a sum of 16 MiB over 2 ranks on cpu: right, \S+ ms, \d+ MB/s", done.out)
    hosts.link("down")
    try:
        done = hosts.run("doctor", "--hostfile", hostfile)
    finally:
        hosts.link("up")
    assert done.code == 1
    assert f"{ADDRESSES[1]}: the host {ADDRESSES[1]} cannot take part: ssh: connect to host" in done.out
