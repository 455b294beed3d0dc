"""The classes of transformers whose tokenizers bertcore builds itself, each with what it makes of a vocabulary.

Source: https://github.com/huggingface/transformers, release 5.23, `tokenization_bert.py`, `tokenization_roberta.py`,
`tokenization_xlm_roberta.py`, `tokenization_camembert.py`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from bertcore.errors import ModelError, Origin
from bertcore.tokenization.files import SPECIAL_TOKENS, TOKENIZER_FILE, TokenizerFiles

Named = Mapping[str, str | AddedToken]
Framing = tuple[str, int]
"""A special token and its id."""

PYTHON_CLASSES = frozenset(
    {
        "BartphoTokenizer",
        "BertGenerationTokenizer",
        "BertJapaneseTokenizer",
        "BertweetTokenizer",
        "ByT5Tokenizer",
        "CanineTokenizer",
        "CpmAntTokenizer",
        "EsmTokenizer",
        "FlaubertTokenizer",
        "PerceiverTokenizer",
        "PhobertTokenizer",
        "RoCBertTokenizer",
        "TapasTokenizer",
        "XLMTokenizer",
    }
)
"""Classes that are code of transformers, whatever files lie beside them."""


@dataclass(frozen=True)
class TokenizerKind:
    """One class of transformers.

    Attributes:
        model: of the ``tokenizers`` library, as ``tokenizer.json`` names it.
        file: what holds the vocabulary where there is no ``tokenizer.json``.
        special: its own special tokens, by name.
        token_types: whether it tells segments.
        build: makes the tokenizer without its added tokens.
        framing: names of the special tokens in front of a text and behind it.
        frame: makes the post-processor that puts them there, of the tokens and their ids.
        extra: further special tokens, where the files name none.
    """

    model: str
    file: str
    special: Named
    token_types: bool
    build: Callable[[TokenizerFiles, Named], Tokenizer]
    framing: tuple[str, str]
    frame: Callable[[TokenizerFiles, Framing, Framing], Any]
    extra: tuple[str, ...] = ()


def no_vocabulary(files: TokenizerFiles, wanted: str) -> ModelError:
    """The error for a folder without a vocabulary that the class reads."""
    pieces = sorted(file.name for file in files.folder.glob("*.model") if file.is_file())
    if pieces:
        return ModelError(
            f"no {TOKENIZER_FILE}; {pieces[0]} is for SentencePiece, which bertcore does not run",
            "let transformers write it (pip install transformers sentencepiece protobuf): AutoTokenizer"
            f".from_pretrained({str(files.folder)!r}).save_pretrained({str(files.folder)!r})",
            origin=Origin(str(files.folder)),
            code="tokenizer-unsupported",
        )
    return ModelError(
        f"neither {TOKENIZER_FILE} nor {wanted}",
        "copy the tokenizer's files into the model folder",
        origin=Origin(str(files.folder)),
        code="tokenizer-missing",
    )


def _vocabulary(files: TokenizerFiles) -> Any:
    return (files.serialized or {})["model"]["vocab"]


def read_word_pieces(file: Path) -> dict[str, int]:
    """The tokens of a ``vocab.txt`` with their ids: the number of the last line that holds them.

    Lines end in a line feed and nothing else; white space at their end is no part of a token.
    """
    return models.WordPiece.read_file(str(file))


def _word_pieces(files: TokenizerFiles, named: Named) -> Tokenizer:
    if files.serialized is not None:
        vocabulary = _vocabulary(files)
        if isinstance(vocabulary, list):
            vocabulary = {piece[0] if isinstance(piece, list) else piece: i for i, piece in enumerate(vocabulary)}
    elif (files.folder / "vocab.txt").is_file():
        vocabulary = read_word_pieces(files.folder / "vocab.txt")
    else:
        raise no_vocabulary(files, "vocab.txt")
    settings = files.settings
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token=str(named.get("unk_token"))))
    inner.normalizer = bert_normalizer(settings, settings.get("do_lower_case", True))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece(prefix="##")
    return inner


def bert_normalizer(settings: Mapping[str, Any], lowercase: bool) -> normalizers.BertNormalizer:
    """BERT's normalizer with the settings of ``tokenizer_config.json``."""
    return normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
        strip_accents=settings.get("strip_accents"),
        lowercase=lowercase,
    )


def _bert_frame(files: TokenizerFiles, first: Framing, last: Framing) -> Any:
    # [CLS] first [SEP] second [SEP]   The number behind each is its segment: [CLS] and the [SEP] between both texts
    #   0     0     0     1      1     belong to the first, as BERT was trained.
    return processors.TemplateProcessing(
        single=f"{first[0]}:0 $A:0 {last[0]}:0",
        pair=f"{first[0]}:0 $A:0 {last[0]}:0 $B:1 {last[0]}:1",
        special_tokens=[first, last],
    )


def _byte_pairs(files: TokenizerFiles, named: Named) -> Tokenizer:
    options = {"continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False}
    vocabulary, merges = files.folder / "vocab.json", files.folder / "merges.txt"
    if files.serialized is not None:
        pairs = files.serialized["model"].get("merges", [])
        pairs = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in pairs]
        model = models.BPE(vocab=_vocabulary(files), merges=pairs, **options)
    elif vocabulary.is_file() and merges.is_file():
        model = models.BPE.from_file(str(vocabulary), str(merges), **options)
    else:
        raise no_vocabulary(files, "vocab.json with merges.txt")
    inner = Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=files.settings.get("add_prefix_space", False))
    inner.decoder = decoders.ByteLevel()
    return inner


def _roberta_frame(files: TokenizerFiles, first: Framing, last: Framing) -> Any:
    # <s> first </s> </s> second </s>   Two separators and one segment: RoBERTa was trained without segments, and so
    # tells the texts of a pair apart. trim_offsets: the space in front of a word is part of its token, not of its
    # characters, or every marked answer would begin with a space.
    settings = files.settings
    return processors.RobertaProcessing(
        last, first, settings.get("trim_offsets", True), settings.get("add_prefix_space", False)
    )


def _sentence_pieces(files: TokenizerFiles, unknown: Callable[[list[tuple[str, float]]], int]) -> Tokenizer:
    if files.serialized is None:
        raise no_vocabulary(files, "sentencepiece.bpe.model")
    pieces = [(piece, score) for piece, score in _vocabulary(files)]
    inner = Tokenizer(models.Unigram(pieces, unk_id=unknown(pieces), byte_fallback=False))
    characters = _character_map(files.serialized.get("normalizer"))
    if characters is not None:
        inner.normalizer = normalizers.Precompiled(characters)
    scheme = "always" if files.settings.get("add_prefix_space", True) else "never"
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme)]
    )
    inner.decoder = decoders.Metaspace(replacement="▁", prepend_scheme=scheme)
    return inner


def _character_map(normalizer: Any) -> bytes | None:
    """SentencePiece's table of characters, where the normalizer of ``tokenizer.json`` has one."""
    parts = (normalizer or {}).get("normalizers", [normalizer])
    tables = (part.get("precompiled_charsmap") for part in parts if part and part.get("type") == "Precompiled")
    table = next((table for table in tables if table is not None), None)
    return None if table is None else base64.b64decode(table)


def _xlm_roberta(files: TokenizerFiles, named: Named) -> Tokenizer:
    return _sentence_pieces(files, lambda pieces: 3)  # fairseq's order: <s>, <pad>, </s>, <unk>


def _camembert(files: TokenizerFiles, named: Named) -> Tokenizer:
    token = str(named.get("unk_token"))
    return _sentence_pieces(files, lambda pieces: next((i for i, (piece, _) in enumerate(pieces) if piece == token), 0))


def _xlm_roberta_frame(files: TokenizerFiles, first: Framing, last: Framing) -> Any:
    return processors.TemplateProcessing(
        single=[first[0], "$A", last[0]],
        pair=[first[0], "$A", last[0], last[0], "$B", last[0]],
        special_tokens=[first, last],
    )


_BERT_TOKENS = {name: f"[{name[:-6].upper()}]" for name in SPECIAL_TOKENS if name not in ("bos_token", "eos_token")}
_ROBERTA_TOKENS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
_BERT_FRAMING, _BEGIN_AND_END = ("cls_token", "sep_token"), ("bos_token", "eos_token")
_SPM = "sentencepiece.bpe.model"
_BERT = TokenizerKind("WordPiece", "vocab.txt", _BERT_TOKENS, True, _word_pieces, _BERT_FRAMING, _bert_frame)
TOKENIZER_KINDS = {
    "BertTokenizer": _BERT,
    "DistilBertTokenizer": replace(_BERT, token_types=False),
    "RobertaTokenizer": TokenizerKind(
        "BPE", "vocab.json", _ROBERTA_TOKENS, False, _byte_pairs, _BERT_FRAMING, _roberta_frame
    ),
    "XLMRobertaTokenizer": TokenizerKind(
        "Unigram", _SPM, _ROBERTA_TOKENS, False, _xlm_roberta, _BEGIN_AND_END, _xlm_roberta_frame
    ),
    "CamembertTokenizer": TokenizerKind(
        "Unigram",
        _SPM,
        {**_ROBERTA_TOKENS, "mask_token": AddedToken("<mask>", lstrip=True, special=True)},
        False,
        _camembert,
        _BEGIN_AND_END,
        _xlm_roberta_frame,
        extra=("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"),
    ),
}
TOKENIZER_KINDS |= dict.fromkeys(
    ["ElectraTokenizer", "LayoutLMTokenizer", "LxmertTokenizer", "MobileBertTokenizer", "SqueezeBertTokenizer"],
    TOKENIZER_KINDS["BertTokenizer"],
)
TOKENIZER_KINDS |= dict.fromkeys(
    ["BartTokenizer", "LongformerTokenizer", "MvpTokenizer"], TOKENIZER_KINDS["RobertaTokenizer"]
)
"""By the name of the class, without ``Fast`` at its end."""
