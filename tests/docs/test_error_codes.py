"""The page on errors has an anchor for each code that an error may have, in both languages, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bertcore.error_codes import CATALOGUE, DOCUMENTATION

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_CLASS = ["interrupted", "terminated", "defect"]
PAGE = Path(DOCUMENTATION)


@pytest.mark.parametrize("page", [PAGE, PAGE.parent / "zh" / PAGE.name], ids=["en", "zh"])
def test_each_code_has_an_anchor_below_its_class(page: Path) -> None:
    found: dict[str, list[str]] = {}
    codes: list[str] = []
    for level, title in re.findall(r"^(###|####) (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE):
        codes = found.setdefault(title, []) if level == "###" else codes
        if level == "####":
            codes.append(title)
    *classes, last = found.items()
    assert dict(classes) == {f"`{kind.__name__}`": [kind.code, *kinds] for kind, kinds in CATALOGUE.items()}
    assert last[1] == WITHOUT_CLASS


@pytest.mark.parametrize("page", [PAGE, PAGE.parent / "zh" / PAGE.name], ids=["en", "zh"])
def test_each_anchor_says_when_and_what_to_do(page: Path) -> None:
    paragraphs = dict(re.findall(r"^#### (.+)\n\n(.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE))
    for kinds in CATALOGUE.values():
        for code, kind in kinds.items():
            words = paragraphs[code]
            assert words == f"{kind.when} {kind.remedy}" if "zh" not in page.parts else re.search("[一-龥].*。$", words)
