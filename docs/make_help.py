"""Writes what the pages say about commands, settings, errors and functions from the code, and figures from results.

    python docs/make_help.py            fills every generated part
    python docs/make_help.py --check    says which pages are out of date (exit code 1 when one is)

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``; the rest of a page is
written by hand. The Chinese pages have the same parts, with the sentences of ``docs/zh/generated.json``, English to
Chinese; a sentence that is missing there is named.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click

import bertcore
from bertcore import api, errors
from bertcore.cli import bertcore as command_line
from bertcore.config import RunConfig, config_values, key_descriptions, known_keys
from bertcore.error_codes import CATALOGUE

DOCS = Path(__file__).resolve().parent
WIDTH = 80


def commands() -> str:
    """The ``--help`` of every command."""
    parts = []
    for name, command, context in _commands("bertcore", command_line, None):
        parts += [f"## {name}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    return "\n".join(parts).rstrip()


def _commands(
    name: str, command: click.Command, parent: click.Context | None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    options = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent, **options)
    yield name, command, context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from _commands(f"{name} {child}", found, context)


def settings() -> str:
    """One table of keys for each section of the configuration."""
    defaults, descriptions = config_values(RunConfig()), key_descriptions(RunConfig)
    sections: dict[str, list[str]] = {}
    for key, kind in known_keys(RunConfig):
        default = "" if defaults[key] is None else f"`{json.dumps(defaults[key])}`"
        words = re.sub(r"Literal\[(.*?)\]", r"one of \1", kind)
        row = f"| `{key}` | {_cell(words)} | {default} | {_cell(descriptions[key])} |"
        sections.setdefault(key.rpartition(".")[0], []).append(row)
    parts = []
    for section, rows in sections.items():
        title = f"### `[{section}]`" if section else "### Top level"
        parts += [title, "", "| key | type | default | meaning |", "|---|---|---|---|", *rows, ""]
    return "\n".join(parts).rstrip()


def exit_codes() -> str:
    """The errors that a user can cause."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    rows = ["| exit code | class in `bertcore.errors` | when |", "|---|---|---|"]
    for kind in sorted(kinds, key=lambda kind: kind.exit_code):
        if kind is not errors.BertcoreError:
            meaning = re.sub(r" \(exit code \d+.*?\)", "", (inspect.getdoc(kind) or "").splitlines()[0])
            rows.append(f"| {kind.exit_code} | `{kind.__name__}` | {_cell(meaning)} |")
    return "\n".join(rows)


def codes() -> str:
    """Each kind of errors with an anchor, which is its code."""
    parts = []
    for kind, kinds in CATALOGUE.items():
        parts += [f"### `{kind.__name__}`", "", f"#### {kind.code}", "", OWN_KIND, ""]
        for code, found in kinds.items():
            parts += [f"#### {code}", "", f"{found.when} {found.remedy}", ""]
    return "\n".join(parts).rstrip()


OWN_KIND = "An error of this class whose plugin names no kind."


def functions() -> str:
    """Signature and documentation of the public functions, and the fields of what they return."""
    parts = []
    for name in sorted(filter(_is_function, set(dir(bertcore)) & set(api.__all__)), key=_place):
        function = getattr(api, name)
        parts += [f"### bertcore.{name}", "", "```text", _signature(f"bertcore.{name}", function), "```", ""]
        parts += [_markdown(inspect.getdoc(function) or ""), ""]
    for name in api.__all__:
        kind = getattr(api, name)
        if inspect.isclass(kind):
            parts += [f"### {name}", "", _markdown(inspect.getdoc(kind) or ""), ""]
            if dataclasses.is_dataclass(kind):
                properties = [key for key, value in vars(kind).items() if isinstance(value, property)]
                parts += [
                    f"- `{key}`: {_plain(inspect.getdoc(getattr(kind, key)) or '')[:1].lower()}"
                    f"{_plain(inspect.getdoc(getattr(kind, key)) or '')[1:]} (property)"
                    for key in properties
                ]
                parts += [""] * bool(properties)
    return "\n".join(parts).rstrip()


def public_names() -> str:
    """What ``from bertcore import NAME`` gives to authors of plugins, by what it is about."""
    about: dict[str, list[str]] = {}
    for name in bertcore.__all__:
        home = bertcore.home_of(name)
        if home is not None and home != "bertcore.api":
            about.setdefault(home, []).append(name)
    rows = ["| names | what they are about |", "|---|---|"]
    for home in sorted(about, key=lambda home: about[home]):
        title = (import_module(home).__doc__ or "").split("\n\n")[0].replace("\n", " ")
        rows.append(f"| {', '.join(f'`{name}`' for name in about[home])} | {_cell(_plain(title))} |")
    return "\n".join(rows)


def _is_function(name: str) -> bool:
    return inspect.isfunction(getattr(api, name))


def _place(name: str) -> tuple[int, int]:
    """Where a function stands: the modules in the order of what one does, training first."""
    function = getattr(api, name)
    modules = ("training", "inference", "data", "weights")
    return modules.index(function.__module__.rpartition(".")[2]), inspect.getsourcelines(function)[1]


def _signature(name: str, function: Callable[..., object]) -> str:
    signature = inspect.signature(function)
    lines = []
    keyword_only = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            lines.append("*")
            keyword_only = True
        annotation = str(parameter.annotation).replace("PathOrText", "str | PathLike")
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        lines.append(f"{parameter.name}: {annotation}{default}")
    inner = "".join(f"    {line},\n" for line in lines)
    return f"{name}(\n{inner}) -> {signature.return_annotation}"


def _markdown(docstring: str) -> str:
    """A Google-style docstring as Markdown."""
    lines: list[str] = []
    in_section = False
    for line in docstring.splitlines():
        if re.fullmatch(r"[A-Z]\w+:", line):
            in_section = True
            lines += [f"**{line[:-1]}**", ""]
        elif not line.startswith(" "):
            lines.append(_plain(line))
        elif entry := re.fullmatch(r"    (\w+): (.*)", line):
            lines.append(f"- `{entry[1]}`: {_plain(entry[2])}")
        elif in_section:
            lines.append(f"  {_plain(line.strip())}" if lines[-1].startswith(("- ", "  ")) else _plain(line.strip()))
    return "\n".join(lines).strip()


def accuracy() -> str:
    """The table of ``benchmarks/accuracy/results.jsonl``."""
    sys.path.append(str(DOCS.parent))
    results = import_module("benchmarks.accuracy.results")
    return str(results.table(results.read(results.RESULTS)))


def _plain(text: str) -> str:
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text.replace("``", "`"))


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "settings": settings,
    "exit codes": exit_codes,
    "codes": codes,
    "functions": functions,
    "public names": public_names,
    "accuracy": accuracy,
}


class Chinese:
    """Generated parts in Chinese: what a reader sees as prose is looked up, and everything else stays as it is.

    Attributes:
        missing: sentences that the catalogue lacks, in the order of the pages.
        unused: sentences of the catalogue that no page has.
    """

    def __init__(self, catalogue: dict[str, str]) -> None:
        self._catalogue = catalogue
        self.missing: dict[str, str] = {}
        self.unused = set(catalogue)

    def part(self, markdown: str) -> str:
        """A generated part: paragraphs, entries of lists, and the heads and last columns of tables are translated."""
        lines: list[str] = []
        fenced = False
        for line in _joined(markdown.splitlines()):
            fenced ^= line.startswith("```")
            if fenced or not re.search("[A-Za-z]", line) or line.startswith(("```", "|---")):
                lines.append(line)
            elif line.startswith("#"):
                marks, _, title = line.partition(" ")
                lines.append(f"{marks} {self._sentence(title) if title in self._catalogue else title}")
            elif line.startswith("|"):
                lines.append(self._row(line, head=not (lines and lines[-1].startswith("|"))))
            elif entry := re.fullmatch(r"(- `\w+`: )(.*)", line):
                lines.append(entry[1] + self._sentence(entry[2]))
            else:
                lines.append(self._sentence(line))
        return "\n".join(lines)

    def _row(self, line: str, head: bool) -> str:
        cells = re.split(r"(?<!\\)\|", line.strip()[1:-1])
        for column, cell in enumerate(cells):
            text = cell.strip()
            if (re.search("[A-Za-z]", text) and (head or column == len(cells) - 1)) or text in self._catalogue:
                cells[column] = f" {self._sentence(text)} "
        return f"|{'|'.join(cells)}|"

    def _sentence(self, text: str) -> str:
        self.unused.discard(text)
        if text not in self._catalogue:
            self.missing[text] = ""
        return self._catalogue.get(text, text)


def _joined(lines: list[str]) -> Iterator[str]:
    """Paragraphs and entries as one line each: in Chinese, a line break would show as a space."""
    fenced = False
    held = ""
    for line in lines:
        fenced ^= line.startswith("```")
        starts = fenced or not line or line.startswith(("- ", "|", "#", "**", "```"))
        if held and not starts:
            held += f" {line.strip()}"
            continue
        if held:
            yield held
        held = "" if starts and not line.startswith("- ") else line
        if not held:
            yield line
    if held:
        yield held


def filled(text: str, translate: Callable[[str], str] = str) -> str:
    """A page with its generated parts made anew."""
    for name, make in PARTS.items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
        if begin in text:
            before, rest = text.split(begin)
            text = f"{before}{begin}\n\n{translate(make())}\n\n{end}{rest.split(end)[1]}"
    return text


def main() -> int:
    """Fills or checks all pages; returns 1 where one is out of date or a sentence is missing or unused."""
    check = sys.argv[1:] == ["--check"]
    chinese = Chinese(json.loads((DOCS / "zh" / "generated.json").read_text(encoding="utf-8")))
    stale = []
    for page in [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("zh/*.md"))]:
        text = page.read_text(encoding="utf-8")
        new = filled(text, chinese.part if page.parent != DOCS else str)
        if new != text:
            stale.append(page.relative_to(DOCS).as_posix())
            if not check:
                page.write_text(new, encoding="utf-8")
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run python docs/make_help.py", file=sys.stderr)
    if chinese.missing:
        print("docs/zh/generated.json lacks:", file=sys.stderr)
        print(json.dumps(chinese.missing, indent=2, ensure_ascii=False), file=sys.stderr)
    for sentence in sorted(chinese.unused):
        print(f"docs/zh/generated.json translates what no page says: {sentence}", file=sys.stderr)
    return int(bool((check and stale) or chinese.missing or chinese.unused))


if __name__ == "__main__":
    sys.exit(main())
