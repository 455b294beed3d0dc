"""What a shell is offered when the tab key is pressed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertcore.config import RunConfig, known_keys
from bertcore.plugins.registry import Registry

Command = Callable[..., Any]
Offered = Callable[[str], list[str]]


@pytest.fixture
def offered(bertcore_command: Command, monkeypatch: pytest.MonkeyPatch) -> Offered:
    """The words offered at the end of a line, as bash asks for them."""

    def ask(line: str) -> list[str]:
        words = line.split(" ")
        monkeypatch.setenv("_BERTCORE_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        outcome = bertcore_command()
        monkeypatch.delenv("_BERTCORE_COMPLETE")
        return [entry.partition(",")[2] for entry in outcome.out.splitlines() if entry]

    return ask


def test_commands_and_options(offered: Offered) -> None:
    assert offered("bertcore ev") == ["evaluate"]
    assert offered("bertcore data c") == ["check", "convert"]
    assert offered("bertcore run --le") == ["--learning-rate"]
    assert offered("bertcore run --precision b") == ["bf16"]


def test_names_are_those_that_are_registered(offered: Offered) -> None:
    registry = Registry()
    assert set(offered("bertcore run --task ")) == set(registry.tasks)
    assert set(offered("bertcore run --backend ")) == set(registry.backends)
    assert set(offered("bertcore run --tracker ")) == set(registry.trackers)
    assert set(offered("bertcore convert --from ")) == set(registry.converters)
    assert set(offered("bertcore data convert --to ")) == set(registry.record_formats)
    assert "no:rte" in offered("bertcore -p no:r")
    torch = registry.backend("torch").devices
    assert set(offered("bertcore run --backend torch --device ")) == set(torch)


def test_keys_of_the_configuration_and_of_the_task(offered: Offered) -> None:
    assert set(offered("bertcore run --set ")) == {f"{key}=" for key, _ in known_keys(RunConfig)}
    assert "head.crf=" not in offered("bertcore run --set head.")
    assert "head.crf=" in offered("bertcore run --task ner --set head.")


def test_paths_are_left_to_the_shell(offered: Offered, bertcore_command: Command) -> None:
    assert offered("bertcore run --model some/pa") == ["some/pa"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(bertcore_command: Command, shell: str) -> None:
    outcome = bertcore_command("completion", shell)
    assert outcome.code == 0
    assert f"_BERTCORE_COMPLETE={shell}_complete" in outcome.out
    assert "bertcore" in outcome.out


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("bertcore")
    bash = shutil.which("bash")
    if bash is None or not command.exists():
        pytest.skip("needs bash and the installed command")
    program = """
        compopt() { echo compopt; }
        eval "$(bertcore completion bash)"
        COMP_WORDS=(bertcore run --set train.ep) COMP_CWORD=3
        _bertcore_completion bertcore
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([bash, "--norc", "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["compopt", "compopt", "train.epochs=", "train.eps="]


def test_completing_imports_no_framework() -> None:
    program = (
        "import atexit, json, sys; from bertcore.cli import main;"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)))); main()"
    )
    asked = {"_BERTCORE_COMPLETE": "bash_complete", "COMP_WORDS": "bertcore run --task r", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    *words, modules = done.stdout.splitlines()
    assert "plain,rte" in words
    assert not {"torch", "mindspore", "transformers", "matplotlib"} & set(json.loads(modules))
