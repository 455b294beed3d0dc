"""Runs the pages of the documentation as a reader would, by the convention that CONTRIBUTING.md describes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "tests" / "plugin_example"
SITE = ".site-packages"

_NEEDS_MINDSPORE = re.compile(r"backend[ =]+\W?mindspore|bertcore doctor")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page: its language, the file that its title names, and its lines."""

    language: str
    title: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


@dataclass(frozen=True)
class Command:
    """What stands after a prompt, the exit code that its comment names, and the output that the page shows."""

    line: str
    exit_code: int
    shown: tuple[str, ...]


def blocks(page: Path) -> Iterator[Block]:
    fence = re.compile(r"^```(\w*)(.*?)$\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for language, options, body in fence.findall(page.read_text(encoding="utf-8")):
        title = re.search(r'title="(.+?)"', options)
        yield Block(language, title[1] if title else "", tuple(body.splitlines()))


def commands(block: Block) -> Iterator[Command]:
    prompts = [index for index, line in enumerate(block.lines) if line.startswith("$ ")]
    assert prompts[:1] == [0], "a console block begins with a prompt"
    for start, stop in zip(prompts, [*prompts[1:], len(block.lines)], strict=True):
        end = start
        while block.lines[end].endswith("\\"):
            end += 1
        line = "\n".join(block.lines[start : end + 1])[2:]
        code = re.search(r"  # exit code (\d+)$", line)
        yield Command(line, int(code[1]) if code else 0, block.lines[end + 1 : stop])


def shown_pattern(shown: tuple[str, ...]) -> re.Pattern[str]:
    """What the output must be: any number for a number, anything for three dots, any lines for a line of them."""
    parts = []
    for line in shown:
        if line == "...":
            parts.append(r"(?:.*\n)*?")
            continue
        words = ".*".join(re.escape(_NUMBER.sub("\0", piece)) for piece in line.split("..."))
        words = words.replace(re.escape("\0"), _NUMBER.pattern).replace("\0", _NUMBER.pattern)
        parts.append(re.sub(r"(?:\\ )+", " +", words) + r" *\n")
    return re.compile("".join(parts))


@pytest.fixture
def play(small_rte: Path, tiny_en: Path, finished_run: Path, tmp_path: Path) -> Callable[[Path, bool], int]:
    """Runs all of a page that needs no MindSpore, or only what needs it, and returns how many things were run."""

    def play_page(page: Path, mindspore: bool) -> int:
        text = page.read_text(encoding="utf-8")
        prepare(tmp_path, small_rte, tiny_en)
        if EXAMPLE.name in text:
            install_example(tmp_path / SITE)
        if "--output runs/rte\n" not in text:
            shutil.copytree(finished_run, tmp_path / "runs" / "rte")
        count = 0
        for block in blocks(page):
            if block.title:
                (tmp_path / block.title).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                if bool(_NEEDS_MINDSPORE.search(block.text)) is mindspore:
                    run(tmp_path, [sys.executable, "-c", block.text], Command(block.text, 0, ()))
                    count += 1
            elif block.language == "console":
                for command in commands(block):
                    if bool(_NEEDS_MINDSPORE.search(command.line)) is mindspore:
                        run(tmp_path, ["bash", "-c", command.line], command)
                        count += 1
        return count

    return play_page


@pytest.fixture(scope="session")
def finished_run(small_rte: Path, tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of getting-started.md, which other pages find in ``runs/rte``."""
    folder = tmp_path_factory.mktemp("reader")
    prepare(folder, small_rte, tiny_en)
    line = "bertcore run --backend torch --task rte --model MODEL --data GLUE_DIR/RTE --output runs/rte"
    run(folder, shlex.split(line), Command(line, 0, ()))
    return folder / "runs" / "rte"


def prepare(folder: Path, rte: Path, model: Path) -> None:
    """The reader's folder: the names that the pages use."""
    (folder / "GLUE_DIR").mkdir()
    (folder / "GLUE_DIR" / "RTE").symlink_to(rte)
    (folder / "MODEL").symlink_to(model)


def install_example(site: Path) -> None:
    """The example plugin as pip would install it, for the page that it is about."""
    shutil.copytree(EXAMPLE / "bertcore_example", site / "bertcore_example")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    information = site / f"bertcore_example-{project['version']}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    points = [f"{name} = {target}" for name, target in project["entry-points"]["bertcore"].items()]
    (information / "entry_points.txt").write_text("\n".join(["[bertcore]", *points]) + "\n", encoding="utf-8")


def run(folder: Path, arguments: list[str], command: Command) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BERTCORE_")}
    environment |= {
        "BERTCORE_CACHE": os.environ["BERTCORE_CACHE"],
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / SITE),
        "HF_HUB_OFFLINE": "1",
    }
    process = subprocess.run(
        arguments, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    told = f"$ {command.line}\n{process.stdout}(exit code {process.returncode})"
    assert process.returncode == command.exit_code, told
    if command.shown:
        shown = "\n".join(command.shown)
        assert shown_pattern(command.shown).fullmatch(process.stdout), f"{told}\n\nthe page shows:\n{shown}"
