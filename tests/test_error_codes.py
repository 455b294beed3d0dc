"""Every error that bertcore and its plugins raise says of which kind it is, and the catalogue has these kinds alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcore import errors
from bertcore.error_codes import CATALOGUE
from bertcore.errors import BertcoreError, DataError

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("bertcore", "plugins")
EXAMPLE = "tests/plugin_example"


@dataclass(frozen=True)
class Raised:
    """A place where an error is made: its class of the catalogue, and the codes that it may have there."""

    place: str
    kind: type[BertcoreError]
    codes: tuple[str, ...]
    has_origin: bool
    begins_with_place: bool


def test_every_error_has_a_code_of_its_class_in_the_catalogue() -> None:
    places = [raised.place for raised in ALL if not raised.codes]
    assert not places, f"code= is missing or no literal: {', '.join(places)}"
    wrong = [f"{raised.place}: {code}" for raised in ALL for code in raised.codes if code not in CATALOGUE[raised.kind]]
    assert not wrong, f"no kind of this class: {', '.join(wrong)}"


def test_a_plugin_of_others_may_have_codes_of_its_own() -> None:
    assert OF_EXAMPLE
    assert all(raised.codes for raised in OF_EXAMPLE)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", code) for raised in OF_EXAMPLE for code in raised.codes)


def test_every_mistake_in_data_that_a_plugin_names_has_its_place() -> None:
    of_plugins = [raised for raised in (*ALL, *OF_EXAMPLE) if not raised.place.startswith("bertcore")]
    assert not [raised.place for raised in of_plugins if raised.kind is DataError and not raised.has_origin]


def test_no_error_says_in_its_words_where_it_stands() -> None:
    assert not [raised.place for raised in (*ALL, *OF_EXAMPLE) if raised.begins_with_place]


def test_the_catalogue_has_no_kind_that_is_never_raised() -> None:
    used = {code for raised in ALL for code in raised.codes}
    assert not [code for kinds in CATALOGUE.values() for code in kinds if code not in used]


def test_codes_are_kebab_case_sorted_and_of_one_class_each() -> None:
    codes = [code for kinds in CATALOGUE.values() for code in kinds]
    assert len(codes) == len(set(codes))
    assert all([*kinds] == sorted(kinds) for kinds in CATALOGUE.values())
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", code) for code in codes)
    assert all(
        kind.when.endswith(".") and kind.remedy.endswith(".") for of in CATALOGUE.values() for kind in of.values()
    )


def _raised(folders: Sequence[str]) -> Iterator[Raised]:
    modules = {
        file: ast.parse(file.read_text()) for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))
    }
    classes = _classes(modules.values())
    for file, module in modules.items():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and (name := _name(node.func)) in classes:
                place = file.relative_to(ROOT)
                code = next((keyword.value for keyword in node.keywords if keyword.arg == "code"), None)
                yield Raised(
                    f"{place}:{node.lineno}",
                    classes[name],
                    tuple(_literals(code)),
                    any(keyword.arg == "origin" for keyword in node.keywords),
                    bool(node.args) and _begins_with_place(node.args[0]),
                )


def _classes(modules: Iterable[ast.Module]) -> dict[str, type[BertcoreError]]:
    """The classes of the catalogue, and those that derive from one of them, by their names."""
    found = {kind.__name__: kind for kind in CATALOGUE}
    assert set(found) == {kind.__name__ for kind in vars(errors).values() if _is_kind(kind)}
    for module in modules:
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef):
                for base in found.keys() & set(map(_name, node.bases)):
                    found.setdefault(node.name, found[base])
    return found


def _is_kind(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BertcoreError) and value is not BertcoreError


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _literals(code: ast.expr | None) -> Iterator[str]:
    """The texts that a code may be: a literal, or a choice of literals; none of anything else."""
    if isinstance(code, ast.IfExp):
        yield from (*_literals(code.body), *_literals(code.orelse))
    elif isinstance(code, ast.Constant) and isinstance(code.value, str):
        yield code.value


def _begins_with_place(problem: ast.expr) -> bool:
    """Whether a text begins with a value and a colon, as ``f"{file}:{line}: no JSON"``."""
    if not isinstance(problem, ast.JoinedStr) or len(problem.values) < 2:
        return False
    first, second = problem.values[:2]
    return isinstance(first, ast.FormattedValue) and isinstance(second, ast.Constant) and second.value.startswith(":")


ALL = tuple(_raised(FOLDERS))
OF_EXAMPLE = tuple(_raised((EXAMPLE,)))
