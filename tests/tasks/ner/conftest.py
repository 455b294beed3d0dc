"""Small files in exactly the layout of the official ones that ``../shared`` does not hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

# A character, a tab or space, and its tag, as the sources of these data sets publish them.
MSRA = "当\tO\n希\tO\n望\tO\n\n新\tB-ORG\n华\tI-ORG\n社\tI-ORG\n北\tB-LOC\n京\tI-LOC\n1\tO\n月\tO\n电\tO\n\n"
RESUME = "高 B-NAME\n勇 E-NAME\n： O\n男 O\n， O\n汉 B-RACE\n族 E-RACE\n\n硕 B-EDU\n士 M-EDU\n生 E-EDU\n王 S-NAME\n\n"
WEIBO = (
    "她0\tO\n和0\tO\n现0\tB-PER.NOM\n任1\tI-PER.NOM\n男0\tB-PER.NOM\n友1\tI-PER.NOM\n\n"
    "北0\tB-GPE.NAM\n京1\tI-GPE.NAM\n\n"
)

# One JSON list for each split; the test split has its entities empty, to be filled in.
MEDICAL: list[dict[str, Any]] = [
    {
        "text": "肺炎患者的肺部阴影增大。",
        "entities": [
            {"start_idx": 0, "end_idx": 2, "type": "dis", "entity": "肺炎"},
            {"start_idx": 5, "end_idx": 11, "type": "sym", "entity": "肺部阴影增大"},
            {"start_idx": 5, "end_idx": 7, "type": "bod", "entity": "肺部"},
        ],
    },
    {
        "text": "（2）用青霉素治疗心肌炎，查血压。",
        "entities": [
            {"start_idx": 4, "end_idx": 7, "type": "dru", "entity": "青霉素"},
            {"start_idx": 9, "end_idx": 12, "type": "dis", "entity": "心肌炎"},
            {"start_idx": 9, "end_idx": 11, "type": "bod", "entity": "心肌"},
            {"start_idx": 14, "end_idx": 16, "type": "ite", "entity": "血压"},
        ],
    },
    {"text": "观察。", "entities": []},
]


def cmeee_file(split: str, *, first_version: bool = False) -> str:
    """The content of a file of CMeEE-V2, or of the first version, whose ends name the last character itself."""
    records = [
        {
            "text": record["text"],
            "entities": [
                {**entity, "end_idx": entity["end_idx"] - first_version}
                for entity in (() if split == "test" else record["entities"])
            ],
        }
        for record in MEDICAL
    ]
    return json.dumps(records, ensure_ascii=False, indent=2)


LAYOUTS = {
    "cmeee": {f"CMeEE-V2_{split}.json": cmeee_file(split) for split in ("train", "dev", "test")},
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
