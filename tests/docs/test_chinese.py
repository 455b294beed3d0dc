"""The Chinese pages say what the English ones say, as far as a program can tell.

Translated prose cannot be compared. What a translator keeps as it is can: the levels of the headings, the shape of
every section (paragraphs, lists, tables, blocks), commands and shown output, inline code, figures, bold scores and
links. Where an English page has gained or lost one of them, the test names the section.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAIRS = {
    ROOT / "README.md": ROOT / "README.zh-CN.md",
    **{ROOT / "docs" / page.name: page for page in sorted((ROOT / "docs" / "zh").glob("*.md"))},
}
OTHER_LANGUAGE = PAIRS | {chinese: english for english, chinese in PAIRS.items()}

_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_FIGURE = re.compile(r"\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Part:
    """What stands between two blank lines of a section, or one fenced block."""

    lines: tuple[str, ...]

    @property
    def is_fence(self) -> bool:
        return self.lines[0].startswith("```")

    @property
    def shape(self) -> str:
        first = self.lines[0]
        if self.is_fence:
            return f"block {first.strip('`') or 'without language'}"
        if first.startswith("|"):
            return f"table of {len(self.lines)} x {len(cells(first))}"
        if first.startswith("- "):
            return f"list of {sum(line.startswith('- ') for line in self.lines)}"
        return "paragraph"

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def fixed_lines(self) -> list[str]:
        """The lines of a fenced block, without the comments of a script, which are translated."""
        if self.shape in ("block sh", "block python"):
            return [re.sub(r"(^|\s+)# .*$", "", line) for line in self.lines]
        return list(self.lines)


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it, up to the next heading of any level."""

    level: int
    title: str
    parts: tuple[Part, ...]

    @property
    def heading(self) -> str:
        return f"{'#' * self.level} {self.title}"


@pytest.mark.parametrize("english", PAIRS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_chinese_page_is_in_step_with_the_english_one(english: Path) -> None:
    chinese = PAIRS[english]
    assert english.exists(), f"{name_of(chinese)} translates no page"
    found = differences(english, read(english), chinese, read(chinese))
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize("page", OTHER_LANGUAGE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_links_to_the_other_language_below_its_title(page: Path) -> None:
    other = os.path.relpath(OTHER_LANGUAGE[page], page.parent)
    line = f"[{'简体中文' if page in PAIRS else 'English'}]({other})"
    title, blank, link = read(page).splitlines()[:3]
    assert title.startswith("# ")
    assert not blank
    assert link.startswith(line), f"{name_of(page)}, line 3 should begin with {line}"


def test_every_page_has_a_chinese_one() -> None:
    english = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert english == {page.name for page in (ROOT / "docs" / "zh").glob("*.md")}


def remove(text: str) -> Callable[[str], str]:
    return replace(text, "")


def replace(old: str, new: str) -> Callable[[str], str]:
    def change(page: str) -> str:
        assert old in page, f"the page has no {old!r} any more: plant another fault"
        return page.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (remove("## Predict\n"), "## 预测"),
        (replace("## Predict\n", "### Predict\n"), "### Predict"),
        (replace("--seeds 1,2 ", "--seeds 1,2,3 "), "--seeds 1,2,3"),
        (replace("stopped after step 2", "halted after step 2"), "halted after step"),
        (replace('title="pairs.csv"', 'title="p.csv"'), "p.csv"),
        (replace(". .venv/bin/activate", "make setup"), "make setup"),
        (replace("`train.save_steps`", "`train.steps`"), "`train.steps`"),
        (replace("0.36 points", "0.42 points"), "0.42"),
        (replace("See [Tasks](tasks.md).", ""), "docs/tasks.md"),
        (
            replace("models-and-weights.md#strictness", "models-and-weights.md#convert"),
            "models-and-weights.md, section",
        ),
        (replace("- `MODEL` is", "- `MODEL`.\n- It is"), "list of 3"),
        (replace("## Several seeds\n", "## Several seeds\n\nOne more paragraph.\n"), "## Several seeds"),
    ],
)
def test_a_change_of_the_english_page_alone_is_found(fault: Callable[[str], str], told: str) -> None:
    english = ROOT / "docs" / "getting-started.md"
    chinese = PAIRS[english]
    found = differences(english, fault(read(english)), chinese, read(chinese))
    assert found
    assert told in "\n".join(found)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (replace("| accuracy, **matthews** |", "| **accuracy**, matthews |"), "row 3, column 3"),
        (replace("| `wnli` |", "| `winograd` |"), "`winograd`"),
        (replace("| `rte` | does the first entail the second? | **accuracy** | `RTE.tsv` |\n", ""), "table of"),
        (replace("(86.206 and ", "(86.207 and "), "86.207"),
        (replace("(#named-entities)", "(#clue)"), "docs/tasks.md, section"),
    ],
)
def test_a_change_of_a_table_of_the_english_page_alone_is_found(fault: Callable[[str], str], told: str) -> None:
    english = ROOT / "docs" / "tasks.md"
    chinese = PAIRS[english]
    found = differences(english, fault(read(english)), chinese, read(chinese))
    assert found
    assert told in "\n".join(found)


def test_a_paragraph_that_was_copied_and_not_translated_is_found() -> None:
    english = ROOT / "docs" / "getting-started.md"
    chinese = PAIRS[english]
    copied = "\n\nMore is said elsewhere.\n"
    found = differences(english, read(english) + copied, chinese, read(chinese) + copied)
    assert len(found) == 1
    assert "not translated" in found[0]


def differences(english: Path, english_text: str, chinese: Path, chinese_text: str) -> list[str]:
    """What the Chinese page lacks or has too much, each with its page and section; empty where they are in step."""
    original, translation = sections(english_text), sections(chinese_text)
    levels = [[section.level for section in side] for side in (original, translation)]
    if levels[0] != levels[1]:
        return [
            f"{name_of(chinese)}: the headings differ from {name_of(english)}",
            *side_by_side(original, translation),
        ]
    found = []
    for before, after in zip(original, translation, strict=True):
        place = f"{name_of(chinese)}, {after.heading} ({name_of(english)}, {before.heading})"
        found += [f"{place}: {what}" for what in of_section(before, after, english, chinese)]
    return found


def of_section(before: Section, after: Section, english: Path, chinese: Path) -> Iterator[str]:
    shapes = [[part.shape for part in side.parts] for side in (before, after)]
    if shapes[0] != shapes[1]:
        yield f"its parts are {', '.join(shapes[1])}; in English they are {', '.join(shapes[0])}"
    else:
        for old, new in zip(before.parts, after.parts, strict=True):
            if old.is_fence:
                yield from of_lines(old.fixed_lines, new.fixed_lines)
            elif old.shape.startswith("table"):
                yield from of_table(old, new)
    yield from of_sets("inline code", code_of(before), code_of(after))
    yield from of_sets("figures", figures_of(before), figures_of(after))
    yield from of_sets("links to", links_of(before, english), links_of(after, chinese, swap=True))
    for part in after.parts:
        prose = not part.is_fence and not part.text.startswith("<!--")
        if prose and re.search("[A-Za-z]", bare(part.text)) and not _CHINESE.search(part.text):
            yield f"not translated: {part.lines[0]}"


def of_lines(before: list[str], after: list[str]) -> Iterator[str]:
    if before != after:
        only_english = [f"  missing: {line}" for line in before if line not in after]
        only_chinese = [f"  not in the English page: {line}" for line in after if line not in before]
        told = [*only_english, *only_chinese] or ["  the order or number of its lines"]
        yield "\n".join(["a block differs:", *told])


def of_table(before: Part, after: Part) -> Iterator[str]:
    """A score that is chosen, a file or a default that moved to another row, which sets of a section would not show."""
    for row, (old_row, new_row) in enumerate(zip(before.lines, after.lines, strict=True), start=1):
        for column, (old, new) in enumerate(zip(cells(old_row), cells(new_row), strict=False), start=1):
            for what, pattern in (("inline code", _CODE), ("bold", _BOLD)):
                for told in of_sets(what, set(pattern.findall(old)), set(pattern.findall(new))):
                    yield f"table, row {row}, column {column}: {told}"
        if len(cells(old_row)) != len(cells(new_row)):
            yield f"table, row {row} has {len(cells(new_row))} columns, in English {len(cells(old_row))}"


def of_sets(what: str, before: set[str], after: set[str]) -> Iterator[str]:
    mark = "`" if what == "inline code" else ""
    if before - after:
        yield f"{what} missing: " + ", ".join(f"{mark}{each}{mark}" for each in sorted(before - after))
    if after - before:
        yield f"{what} not in the English page: " + ", ".join(f"{mark}{each}{mark}" for each in sorted(after - before))


def side_by_side(original: list[Section], translation: list[Section]) -> Iterator[str]:
    headings = [[section.heading for section in side] for side in (original, translation)]
    rows = max(map(len, headings))
    for english, chinese in zip(*(side + ["(nothing)"] * (rows - len(side)) for side in headings), strict=True):
        yield f"  {english}  |  {chinese}"


def sections(text: str) -> list[Section]:
    found: list[tuple[int, str, list[Part]]] = []
    lines: list[str] = []
    fenced = False

    def close_part() -> None:
        if lines:
            found[-1][2].append(Part(tuple(lines)))
            lines.clear()

    for line in text.splitlines():
        heading = re.match(r"(#+) (.+)", line)
        if line.startswith("```"):
            if not fenced:
                close_part()
            lines.append(line)
            if fenced:
                close_part()
            fenced = not fenced
        elif fenced:
            lines.append(line)
        elif heading:
            close_part()
            found.append((len(heading[1]), heading[2], []))
        elif line.strip():
            lines.append(line)
        else:
            close_part()
    close_part()
    return [Section(level, title, tuple(parts)) for level, title, parts in found]


def cells(row: str) -> list[str]:
    return row.strip().strip("|").split("|")


def code_of(section: Section) -> set[str]:
    return {code for text in prose_of(section) for code in _CODE.findall(text)}


def figures_of(section: Section) -> set[str]:
    return {figure for text in prose_of(section) for figure in _FIGURE.findall(bare(text))}


def links_of(section: Section, page: Path, swap: bool = False) -> set[str]:
    """Where the links of a section lead; `swap` names the page in the other language, where there is one."""
    return {
        destination(target, page, swap)
        for text in prose_of(section)
        for _, target in _LINK.findall(_CODE.sub("`", text))
    }


def destination(target: str, page: Path, swap: bool) -> str:
    if re.match("[a-z]+:", target):
        return target
    path, _, anchor = target.partition("#")
    file = Path(os.path.normpath(page.parent / path)) if path else page
    name = name_of(OTHER_LANGUAGE.get(file, file) if swap else file)
    if anchor and file in OTHER_LANGUAGE:  # the heading has another name in the other language, but the same place
        anchors = [anchor_of(section.title) for section in sections(read(file))]
        assert anchor in anchors, f"{name_of(page)}: {target} leads nowhere"
        return f"{name}, section {anchors.index(anchor)}"
    return f"{name}#{anchor}" if anchor else name


def anchor_of(title: str) -> str:
    return re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")


def prose_of(section: Section) -> list[str]:
    return [section.title, *(part.text for part in section.parts if not part.is_fence)]


def bare(text: str) -> str:
    """Without inline code and links, whose digits are no figures."""
    return _LINK.sub("", _CODE.sub("", text))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()
