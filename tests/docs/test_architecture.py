"""The drawing on the Concepts page shows the rooms that there are, on the floors where the linter holds them."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DRAWING = ROOT / "docs" / "architecture.svg"
PHONE = 360
"""Points across that a phone leaves for a figure."""
SMALLEST = 9
"""Points of the smallest letters that one still reads."""


def elements(tag: str, kind: str = "") -> list[ElementTree.Element]:
    found = ElementTree.parse(DRAWING).getroot().iter(f"{{http://www.w3.org/2000/svg}}{tag}")
    return [element for element in found if kind in ("", element.get("class"))]


def boxes(*kinds: str) -> dict[str, ElementTree.Element]:
    """The boxes of some kinds by the name in them."""
    groups = [group for kind in kinds for group in elements("g", kind)]
    return {group[1].text or "": group[0] for group in groups}


def floors() -> dict[str, int]:
    """The floor of each module of the core, the highest first, as the linter holds it."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = [contract["layers"] for contract in linter["contracts"] if contract["type"] == "layers"]
    return {name.strip("() "): floor for floor, layer in enumerate(layers) for name in layer.split("|")}


def test_each_folder_of_the_core_is_a_room() -> None:
    folders = {file.parent.name for file in (ROOT / "bertcore").glob("*/__init__.py")}
    assert set(boxes("room", "ground")) == folders


def test_each_distribution_beside_the_core_is_a_package() -> None:
    folders = {file.parent.name for file in (ROOT / "plugins").glob("*/pyproject.toml")}
    assert set(boxes("package")) == {*folders, "yours"}


def test_rooms_lie_above_each_other_as_the_linter_says() -> None:
    floor, top = floors(), {name: int(box.get("y", "")) for name, box in boxes("room", "ground").items()}
    pairs = [(one, other) for one in top for other in top if floor[one] < floor[other]]
    assert {(one, other) for one, other in pairs if top[one] > top[other]} == set()
    side_by_side = {
        ("cli", "api"),
        ("testing", "api"),
        ("launch", "commands"),
        ("config", "files"),
        ("config", "error_codes"),
    }
    assert {(one, other) for one, other in pairs if top[one] == top[other]} <= side_by_side


def test_the_numbers_are_those_of_the_page() -> None:
    drawn = {group[1].text for group in elements("g", "step")}
    page = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    assert drawn == set(re.findall(r"^(\d+)\. ", page, re.MULTILINE))


def test_letters_are_readable_on_a_phone() -> None:
    text = DRAWING.read_text(encoding="utf-8")
    width = float(ElementTree.parse(DRAWING).getroot().get("viewBox", "").split()[2])
    sizes = [float(size) for size in re.findall(r'font-size(?:: |=")(\d+)', text)]
    assert min(sizes) * PHONE / width >= SMALLEST


def test_a_dark_page_has_colours_of_its_own() -> None:
    style = elements("style")[0].text or ""
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    coloured = re.compile(r"([.\w][\w. ]*) \{[^}]*(?:fill|stroke): #")
    assert set(coloured.findall(light)) == set(coloured.findall(dark))
