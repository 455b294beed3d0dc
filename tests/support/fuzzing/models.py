"""Model folders: configuration, tokenizer files and weights that lie."""

from __future__ import annotations

import base64
import functools
import json
import struct
from pathlib import Path
from typing import Any

from bertcore.contracts.family import ModelFamily
from bertcore.families.bert import BertFamily
from bertcore.heads import SequenceClassification
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer
from bertcore.weights.opening import open_model

from .chance import Chance
from .weights import safetensors

Files = dict[str, bytes]

_PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##c", "é"]
_UNIGRAM = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["▁a", -1.0], ["b", -2.0], ["<mask>", 0.0]]
_SYMBOLS = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 5, "b": 6, "Ġ": 7, "ab": 8, "Ġa": 9}
_MODELS: tuple[dict[str, Any], ...] = (
    {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {piece: index for index, piece in enumerate(_PIECES)},
    },
    {
        "type": "BPE",
        "dropout": None,
        "unk_token": "<unk>",
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": _SYMBOLS,
        "merges": [["a", "b"], ["Ġ", "a"]],
    },
    {"type": "Unigram", "unk_id": 3, "vocab": _UNIGRAM, "byte_fallback": False},
    {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1}, "unk_token": "[UNK]"},
)
_CHARACTER_MAP = base64.b64encode(struct.pack("<I", 1024) + bytes(1024)).decode()
"""A table of SentencePiece that maps nothing."""

_NORMALIZERS: tuple[Any, ...] = (
    None,
    {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    {"type": "Precompiled", "precompiled_charsmap": _CHARACTER_MAP},
    {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Prepend", "prepend": "▁"}, {"type": "Lowercase"}]},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
)
_PRE_TOKENIZERS: tuple[Any, ...] = (
    None,
    {"type": "BertPreTokenizer"},
    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    {"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Isolated", "invert": False},
)


def _post_processors(first: str, last: str) -> list[Any]:
    def special(token: str) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": 0}}

    def text(name: str) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": 0 if name == "A" else 1}}

    return [
        None,
        {
            "type": "TemplateProcessing",
            "single": [special(first), text("A"), special(last)],
            "pair": [special(first), text("A"), special(last), text("B"), special(last)],
            "special_tokens": {
                first: {"id": first, "ids": [2], "tokens": [first]},
                last: {"id": last, "ids": [3], "tokens": [last]},
            },
        },
        {"type": "BertProcessing", "sep": [last, 3], "cls": [first, 2]},
        {
            "type": "RobertaProcessing",
            "sep": [last, 2],
            "cls": [first, 0],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
    ]


def tokenizer_files(chance: Chance) -> Files:
    files: dict[str, Any] = {}
    model = chance.choice(_MODELS)
    is_piece = model["type"] in ("WordPiece", "WordLevel")
    first, last = ("[CLS]", "[SEP]") if is_piece else ("<s>", "</s>")
    if chance.random() < 0.75:
        added = {"id": 2, "content": first, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        files["tokenizer.json"] = {
            "version": "1.0",
            "truncation": chance.choice(
                (None, {"direction": "Right", "max_length": 128, "strategy": "LongestFirst", "stride": 0})
            ),
            "padding": chance.choice(
                (
                    None,
                    {
                        "strategy": chance.choice(("BatchLongest", {"Fixed": 128})),
                        "direction": "Right",
                        "pad_to_multiple_of": None,
                        "pad_id": 0,
                        "pad_type_id": 0,
                        "pad_token": "[PAD]",
                    },
                )
            ),
            "added_tokens": chance.choice(([], [{**added, "special": True}])),
            "normalizer": chance.choice(_NORMALIZERS),
            "pre_tokenizer": chance.choice(_PRE_TOKENIZERS),
            "post_processor": chance.choice(_post_processors(first, last)),
            "decoder": chance.choice((None, {"type": "WordPiece", "prefix": "##", "cleanup": True})),
            "model": model,
        }
    if chance.random() < 0.6:
        names = ("Bert", "Bert", "Roberta", "XLMRoberta", "Camembert", "Electra", "PreTrained", "Foreign")
        files["tokenizer_config.json"] = {
            "tokenizer_class": f"{chance.choice(names)}Tokenizer{chance.choice(('', 'Fast'))}",
            "do_lower_case": True,
            "strip_accents": None,
            "unk_token": "[UNK]" if is_piece else "<unk>",
            "cls_token": {"__type": "AddedToken", "content": first, "lstrip": False},
            "extra_special_tokens": chance.choice(([], ["[X]"], {"image_token": "[I]"})),
            "model_max_length": 512,
            "truncation_side": "right",
        }
        if chance.random() < 0.3:
            files["tokenizer_config.json"]["added_tokens_decoder"] = {"2": {"content": first, "special": True}}
    if chance.random() < 0.3:
        files["special_tokens_map.json"] = {"cls_token": first, "sep_token": {"content": last, "lstrip": False}}
    if chance.random() < 0.3:
        files["added_tokens.json"] = {"[E]": 9, first: 2}
    if chance.random() < 0.3:
        files["config.json"] = {"model_type": chance.choice(("bert", "roberta", "xlm-roberta", "electra"))}
    found = {name: _encoded(chance, content) for name, content in files.items()}
    if chance.random() < 0.5:
        lines = "\n".join(chance.text(piece) for piece in chance.some(_PIECES))
        found["vocab.txt"] = chance.damage(lines.encode("utf-8", "surrogatepass"))
    if chance.random() < 0.2:
        found["vocab.json"] = _encoded(chance, _SYMBOLS)
        found["merges.txt"] = chance.damage("#version: 0.2\na b\nĠ a\n".encode())
    return found


def _encoded(chance: Chance, content: Any) -> bytes:
    return chance.damage(
        json.dumps(chance.json(content), ensure_ascii=chance.random() < 0.9).encode("utf-8", "replace")
    )


def read_tokenizer(folder: Path) -> Any:
    tokenizer = Tokenizer.load(folder, embeddings=10)
    rows = tokenizer.encode(["a b", ""], ["é", "c" * 20], 8)
    return rows, tokenizer.vocab_size, tokenizer.tokens(rows.input_ids[0]), tokenizer.fingerprint


_SIZES = {
    "vocab_size": 9,
    "hidden_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 3,
    "max_position_embeddings": 5,
    "type_vocab_size": 2,
}
_HEAD = SequenceClassification(("no", "yes"))


@functools.cache
def _registry() -> Registry:
    return Registry(blocked=("torch",))  # whose stand-in for every other model would import transformers


@functools.cache
def _table() -> dict[str, tuple[int, ...]]:
    family: ModelFamily = BertFamily()
    table = family.parameter_table(family.parse_config(_SIZES), _HEAD)
    return {name: spec.shape for name, spec in table.items()}


def model_files(chance: Chance) -> Files:
    """A small model of which the configuration lies more often than the weights."""
    config = {
        **_SIZES,
        "model_type": chance.choice(("bert", "bert", "bert", "roberta", "electra")),
        "architectures": ["BertForSequenceClassification"],
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "layer_norm_eps": 1e-12,
        "initializer_range": 0.02,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "id2label": {"0": "no", "1": "yes"},
        "label2id": {"no": 0, "yes": 1},
        "problem_type": "single_label_classification",
        "classifier_dropout": None,
        "auto_map": {"AutoModel": "modeling.Model"},
    }
    if chance.random() < 0.7:
        config["model_type"] = "bert"
        weights = _whole_weights(chance)
    else:
        weights = safetensors(chance, names=[*_table()][: chance.randrange(30)])
    name = chance.choice(("config.json", "config.json", "config.json", "bert_config.json"))
    return {name: _encoded(chance, config), "model.safetensors": weights}


def _whole_weights(chance: Chance) -> bytes:
    header, position = {}, 0
    for name, shape in _table().items():
        count = 4
        for size in shape:
            count *= size
        if not chance.random() < chance.rate * 0.1:
            header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [position, position + count]}
            position += count
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + bytes(position)


def read_model(folder: Path) -> Any:
    source = open_model(str(folder), _registry())
    fitted = source.fit(_HEAD, seed=1, new_head=True)
    return source.head(), fitted.parameters, fitted.report
