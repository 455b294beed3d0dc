"""Small files in exactly the layout of the official ones that ``../shared`` does not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

# A character, a tab or space, and its tag, as the sources of these data sets publish them.
MSRA = "当\tO\n希\tO\n望\tO\n\n新\tB-ORG\n华\tI-ORG\n社\tI-ORG\n北\tB-LOC\n京\tI-LOC\n1\tO\n月\tO\n电\tO\n\n"
RESUME = "高 B-NAME\n勇 E-NAME\n： O\n男 O\n， O\n汉 B-RACE\n族 E-RACE\n\n硕 B-EDU\n士 M-EDU\n生 E-EDU\n王 S-NAME\n\n"
WEIBO = (
    "她0\tO\n和0\tO\n现0\tB-PER.NOM\n任1\tI-PER.NOM\n男0\tB-PER.NOM\n友1\tI-PER.NOM\n\n"
    "北0\tB-GPE.NAM\n京1\tI-GPE.NAM\n\n"
)

LAYOUTS = {
    "chinese_ner": {f"example.{split}": MSRA.replace("\t", " ") for split in ("train", "dev", "test")},
    "msra": {"msra_train_bio.txt": MSRA, "msra_test_bio.txt": MSRA},
    "resume": {f"{split}.char.bmes": RESUME for split in ("train", "dev", "test")},
    "weibo": {f"weiboNER_2nd_conll.{split}": WEIBO for split in ("train", "dev", "test")},
}


def write_layout(folder: Path, task: str) -> Path:
    """Writes the small files of a task."""
    folder.mkdir(exist_ok=True)
    for name, content in LAYOUTS[task].items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def people_daily_dir(shared: Path) -> Path:
    """`example.train`, `example.dev` and `example.test`."""
    folder = shared / "data" / "people_daily_ner"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared/data/people_daily_ner")
    return folder


@pytest.fixture(scope="session")
def cluener_dir(shared: Path) -> Path:
    """`train.json`, `dev.json` and `test.json`."""
    folder = shared / "data" / "cluener"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared/data/cluener")
    return folder
