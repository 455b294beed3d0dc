"""Jobs of several processes on agents of this machine: whatever dies, the right one is blamed and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bertcore.launch.messages import Job, Process
from bertcore.launch.supervisor import AgentCommand, Supervisor

AGENT = (sys.executable, "-m", "bertcore.launch.agent")
SLEEPS = "import time; time.sleep(60)"
FAILS_WITHOUT_OTHERS = """
import os, time
other = int(open('first').read())
while os.path.exists(f"/proc/{other}"): time.sleep(0.01)
raise SystemExit('the other side is gone')
"""


def process(name: str, code: str, **environment: str) -> Process:
    return Process(name, (sys.executable, "-c", code), environment, None if name == "rank 0" else f"logs/{name}")


def job(folder: Path, *processes: Process) -> Job:
    return Job(str(folder), processes, patience=5)


def alive(folder: Path) -> list[int]:
    """Processes whose working folder this is."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if Path(os.readlink(entry / "cwd")) == folder and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_until(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def run(folder: Path, *jobs: Job, patience: float = 5.0, shown: list[str] | None = None):
    agents = [AgentCommand(f"host-{number}", AGENT, of_host) for number, of_host in enumerate(jobs)]
    lines = [] if shown is None else shown
    return Supervisor(agents, patience, lambda stream, text: lines.append(f"{stream}: {text}")).run()


def test_all_end_well_and_the_first_is_shown(tmp_path):
    shown: list[str] = []
    outcome = run(
        tmp_path,
        job(
            tmp_path,
            process("rank 0", "import os; print('here', os.environ['RANK'])", RANK="0"),
            process("rank 1", "print('in a file')"),
        ),
        job(tmp_path, process("rank 2", "pass")),
        shown=shown,
    )
    assert outcome.failure is None
    assert outcome.codes == {"rank 0": 0, "rank 1": 0, "rank 2": 0}
    assert "".join(part.removeprefix("stdout: ") for part in shown) == "here 0\n"
    assert (tmp_path / "logs" / "rank 1").read_text() == "in a file\n"


def test_what_fails_first_is_blamed_with_its_last_lines_and_the_others_end(tmp_path):
    started = time.monotonic()
    outcome = run(
        tmp_path,
        job(tmp_path, process("rank 0", SLEEPS)),
        job(tmp_path, process("rank 1", "raise SystemExit('no memory is left')"), process("rank 2", SLEEPS)),
    )
    assert (outcome.failure.host, outcome.failure.process, outcome.failure.code) == ("host-1", "rank 1", 1)
    assert outcome.failure.last_lines == ("no memory is left",)
    assert time.monotonic() - started < 5
    assert alive(tmp_path) == []


def test_of_a_killed_process_and_those_that_lost_it_the_killed_one_is_blamed(tmp_path):
    killed = (
        "import os, signal, time; open('first', 'w').write(str(os.getpid())); time.sleep(0.5); os.kill(os.getpid(), 9)"
    )
    waits = "import os, time\nwhile not os.path.exists('first') or not open('first').read(): time.sleep(0.01)"
    lost = f"{waits}\n{FAILS_WITHOUT_OTHERS}"
    outcome = run(tmp_path, job(tmp_path, process("rank 0", lost), process("rank 1", killed), process("rank 2", lost)))
    assert (outcome.failure.process, outcome.failure.code) == ("rank 1", -signal.SIGKILL)


def test_children_of_the_processes_end_with_them(tmp_path):
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]); raise SystemExit(3)"
    outcome = run(tmp_path, job(tmp_path, process("rank 0", parent)))
    assert outcome.failure.code == 3
    wait_until(lambda: alive(tmp_path) == [])


def test_an_agent_that_cannot_be_started_is_a_lost_host_with_its_reason(tmp_path):
    broken = AgentCommand(
        "node-7",
        (sys.executable, "-c", "raise SystemExit('no route to host')"),
        job(tmp_path, process("rank 1", SLEEPS)),
    )
    fine = AgentCommand("here", AGENT, job(tmp_path, process("rank 0", SLEEPS)))
    outcome = Supervisor([fine, broken], 5, lambda stream, text: None).run()
    assert (outcome.failure.host, outcome.failure.code) == ("node-7", None)
    assert outcome.failure.last_lines == ("no route to host",)
    assert alive(tmp_path) == []


def test_what_a_shell_on_the_other_host_prints_is_no_message(tmp_path):
    greeting = ("sh", "-c", f"echo 'Welcome to {{}}'; echo '[1]'; exec {' '.join(AGENT)}")
    outcome = Supervisor([AgentCommand("here", greeting, job(tmp_path, process("rank 0", "pass")))], 5).run()
    assert outcome.codes == {"rank 0": 0}


LAUNCHER = """
import sys
from bertcore.launch.messages import Job, Process
from bertcore.launch.supervisor import AgentCommand, Supervisor
processes = tuple(Process(f"rank {{n}}", (sys.executable, "-c", {code!r}), {{}}, f"rank-{{n}}.log") for n in range(2))
agents = [AgentCommand("here", (sys.executable, "-m", "bertcore.launch.agent"), Job({folder!r}, processes, 5))]
outcome = Supervisor(agents, {patience}).run()
raise SystemExit(0 if outcome.failure is None and outcome.signal is None else 128 + (outcome.signal or 0))
"""

KEEPS = """
import signal, time
signal.signal(signal.{name}, lambda *_: (open('kept', 'a').write('x'), exit(0)))
open('up', 'a').write('x')
time.sleep(60)
"""
IGNORES = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
open('up', 'a').write('x')
time.sleep(60)
"""


def launcher(folder: Path, code: str, patience: float = 10.0) -> subprocess.Popen[bytes]:
    text = LAUNCHER.format(code=code, folder=str(folder), patience=patience)
    started = subprocess.Popen([sys.executable, "-c", text], start_new_session=True)
    wait_until(lambda: (folder / "up").exists() and (folder / "up").read_text() == "xx")
    return started


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_is_passed_on_and_every_process_has_its_time(tmp_path, name):
    number = signal.Signals[name]
    started = launcher(tmp_path, KEEPS.format(name=name))
    started.send_signal(number)
    assert started.wait(timeout=10) == 128 + number
    assert (tmp_path / "kept").read_text() == "xx"
    assert alive(tmp_path) == []


def test_a_second_signal_ends_what_does_not_listen(tmp_path):
    started = launcher(tmp_path, IGNORES, patience=60)
    started.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert started.poll() is None
    started.send_signal(signal.SIGINT)
    assert started.wait(timeout=10) == 130
    assert alive(tmp_path) == []


def test_when_the_launcher_is_killed_the_processes_end_by_themselves(tmp_path):
    started = launcher(tmp_path, KEEPS.format(name="SIGTERM"))
    started.kill()
    started.wait()
    wait_until(lambda: alive(tmp_path) == [], seconds=5)
    assert (tmp_path / "kept").read_text() == "xx"


def test_when_the_launcher_is_killed_processes_that_do_not_listen_end_too(tmp_path):
    started = launcher(tmp_path, IGNORES)
    started.kill()
    started.wait()
    wait_until(lambda: alive(tmp_path) == [], seconds=6)
