"""How each launcher starts a command on a host, and that a third party's is found by its name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bertcore import LazyPlugin, Registry
from bertcore.launch.launchers import LOCAL, OPEN_MPI, SLURM, SSH
from bertcore.launch.transports import Transport, passed_on

# What a shell would take apart.
WORDS = ["printf", "%s|", "two words", "$HOME", "it's", 'a "quote"', "*", "a;b"]


def test_on_this_machine_every_word_arrives_as_it_is(tmp_path: Path) -> None:
    done = subprocess.run(LOCAL.command("localhost", str(tmp_path), WORDS), capture_output=True, text=True, check=True)
    assert done.stdout.split("|")[:-1] == WORDS[2:]
    done = subprocess.run(
        LOCAL.command("localhost", str(tmp_path), ["pwd"]), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(tmp_path)


def test_by_ssh_every_word_arrives_as_it_is(tmp_path: Path) -> None:
    """The last word is what a shell of the other host is given; here one of this machine reads it."""
    folder = tmp_path / "with space"
    folder.mkdir()
    *options, host, line = SSH.command("node-1", str(folder), WORDS)
    assert (options[-1], host) == ("--", "node-1")
    assert "BatchMode=yes" in options
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.split("|")[:-1] == WORDS[2:]


@pytest.mark.parametrize("launcher", [OPEN_MPI, SLURM])
def test_others_take_the_words_as_they_are(launcher, tmp_path: Path) -> None:
    command = launcher.command("node-1", str(tmp_path), WORDS)
    assert command[0] == launcher.program
    assert command[-len(WORDS) :] == WORDS
    assert any("node-1" in word for word in command)


def test_a_third_partys_launcher_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.plugins.test_registry import registry_of

    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "plugin_example")
    registry = registry_of(pods=LazyPlugin("bertcore_register_launchers", "bertcore_example.kubectl:KUBECTL"))
    assert registry.launcher("kubectl").command("pod-0", "/work", ["true"])[:4] == ["kubectl", "exec", "-i", "pod-0"]


def test_the_shipped_ones_are_found_by_their_names() -> None:
    assert {"local", "ssh", "openmpi", "slurm"} <= set(Registry().launchers)


def test_a_process_gets_what_concerns_it_of_this_ones_environment() -> None:
    mine = {
        "PYTHONPATH": "/a:/b",
        "NCCL_DEBUG": "INFO",
        "HOME": "/root",
        "MS_ROLE": "MS_SCHED",
        "HF_HOME": "two\nlines",
    }
    assert passed_on(mine) == {"PYTHONPATH": "/a:/b", "NCCL_DEBUG": "INFO"}
    words = Transport("node-1", LOCAL, "/work", python="python3").module("bertcore.launch.agent", "x")
    assert words[-4:] == ["python3", "-m", "bertcore.launch.agent", "x"]
