"""What the documentation says is true: its commands run, its links lead somewhere, nothing is left out."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import yaml

from bertcore import errors
from bertcore.cli import bertcore as command_line
from bertcore.plugins import hookspecs
from bertcore.plugins.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ENGLISH = sorted(DOCS.glob("*.md"))
PAGES = [*ENGLISH, *sorted((DOCS / "zh").glob("*.md"))]
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
ALL_PAGES = [*READMES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *PAGES]
# README's commands take the real data as it is; getting-started.md shows the same ones. The Chinese pages need not be
# run a second time: test_chinese.py shows that their commands and shown output are those of the English ones.
PLAYED = [
    page for page in ENGLISH if re.search(r"^```(console|python)$", page.read_text(encoding="utf-8"), re.MULTILINE)
]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PLAYED, ids=name_of)
def test_what_a_page_shows_runs_and_prints_what_it_shows(page: Path, play: Callable[[Path, bool], int]) -> None:
    if not play(page, False):
        pytest.skip("everything on this page needs MindSpore, see test_docs_mindspore.py")


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page if not path else (page.parent / path).resolve()
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_commands_that_are_only_shown_exist_with_their_options(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line in shown_only(page):
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert words[1] in targets, line
        elif words[:1] == ["bertcore"]:
            parse(words[1:])


@pytest.mark.parametrize("page", [DOCS / "files.md", DOCS / "zh" / "files.md"], ids=name_of)
def test_what_the_page_on_files_names_exists_with_its_options_and_settings(page: Path) -> None:
    registry = Registry()
    tasks = [registry.task(name) for name in registry.tasks]
    keys = {f"data.{name}" for task in tasks for name in task.data_config.model_fields}
    rows = "".join(re.findall(r"^\|.*\n", page.read_text(encoding="utf-8"), re.MULTILINE))
    commands = re.findall(r"`((?:bertcore |--)[^`]+)`", rows)
    assert len(commands) > 30
    for command in commands:
        words = shlex.split(command.removesuffix(" ..."))
        converts = words[0] == "--keep-unknown"
        parse(words[1:] if words[0] == "bertcore" else [*(["convert", "A", "B"] if converts else ["run"]), *words])
        assert set(re.findall(r"--set ([\w.]+)=", command)) <= keys, command


def test_every_page_is_in_the_navigation() -> None:
    # BaseLoader, because mkdocs.yml names a Python function
    navigation = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)["nav"]
    assert sorted(in_navigation(navigation)) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


def test_the_generated_parts_are_up_to_date() -> None:
    process = subprocess.run(
        [sys.executable, DOCS / "make_help.py", "--check"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


def test_every_hook_has_a_section_and_an_example_that_implements_it() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("bertcore_")}
    page = (DOCS / "writing-a-plugin.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^#+ .*`(bertcore_\w+)`", page, re.MULTILINE))
    assert headings == hooks
    included = [ROOT / path for path in re.findall(r'^--8<-- "(.+)"$', page, re.MULTILINE)]
    shown = page + "".join(file.read_text(encoding="utf-8") for file in included)
    assert {hook for hook in hooks if re.search(rf'^ *def {hook}\(|LazyPlugin\("{hook}"', shown, re.MULTILINE)} == hooks


def test_every_exit_code_is_in_the_table() -> None:
    page = (DOCS / "errors-and-exit-codes.md").read_text(encoding="utf-8")
    table = {int(code): text for code, text in re.findall(r"^\| (\d+) \| (.*)$", page, re.MULTILINE)}
    kinds = {
        kind.__name__: kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.BertcoreError) and kind is not errors.BertcoreError
    }
    assert {name: code for name, code in kinds.items() if f"`{name}`" in table.get(code, "")} == kinds
    assert table.keys() == {0, 1, *kinds.values(), 130, 138, 141, 143}


def test_every_file_of_a_run_folder_is_in_both_tables(finished_run: Path) -> None:
    entries = {
        re.sub(r"^checkpoint-\d+", "checkpoint-STEP", entry.name) + "/" * entry.is_dir()
        for entry in finished_run.iterdir()
    }
    for page in (*READMES, DOCS / "run-folder-and-reports.md"):
        rows = re.findall(r"^\| (`.*?) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
        named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
        assert entries <= named, name_of(page)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    mkdocs = shutil.which("mkdocs", path=str(Path(sys.executable).parent))
    if mkdocs is None:
        pytest.skip("needs mkdocs-material, of the extra dev")
    process = subprocess.run(
        [mkdocs, "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


def without_code(page: Path) -> str:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as both GitHub and mkdocs make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def shown_only(page: Path) -> Iterator[str]:
    for body in re.findall(r"^```sh$\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        yield from body.replace("\\\n", " ").splitlines()


def parse(arguments: list[str]) -> None:
    """Parses a command line as bertcore would, without calling anything; raises for an option that does not exist."""
    command: click.Command = command_line
    context = None
    while True:
        context = command.make_context(command.name, list(arguments), parent=context)
        if not isinstance(command, click.Group):
            return
        name, found, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        assert name is not None
        assert found is not None
        command = found


def in_navigation(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    else:
        for child in node.values() if isinstance(node, dict) else node:
            yield from in_navigation(child)
