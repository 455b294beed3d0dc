"""Converts weights from one layout to another, with a report of every key: what ``bertcore convert`` does."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bertcore.commands.conversion import Conversion, ConversionReport, ConvertedKey
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import KeyReport, WeightConverter, WeightSet
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.parameters import fit_parameters
from bertcore.errors import ModelError, Origin, OutputError, UsageError
from bertcore.files.manifest import verified_facts
from bertcore.files.writing import staged
from bertcore.near_misses import did_you_mean, nearest_path
from bertcore.plugins.registry import Registry
from bertcore.progress import describe
from bertcore.tokenization.files import TOKENIZER_FILES
from bertcore.tokenization.tokenizer import Tokenizer
from bertcore.weights.converters.model_folder import find_config, is_there, read_config
from bertcore.weights.converters.model_places import chosen_checkpoint
from bertcore.weights.converters.rules import joined_actions
from bertcore.weights.family_choice import find_family, with_model_type
from bertcore.weights.model_tensors import ModelTensors, canonical_weights, with_strangers, without_strangers
from bertcore.weights.opening import find_converter
from bertcore.weights.verification import Verification
from bertcore.weights.verification import verify as compare

_WORDS, _QUERY = "embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.weight"
"""What every encoder of BERT, RoBERTa and ELECTRA has."""


def convert(wanted: Conversion, registry: Registry) -> ConversionReport:
    """Converts a model folder or weight file into another layout; tensors keep their type and every bit.

    A destination that is a folder gets ``config.json`` and the tokenizer's files, too; a file gets nothing beside it.
    What no model has (gradients, moments, losses, a script's own layers) is left out, and listed in the report.

    Args:
        wanted: what is converted, and how.
        registry: where converters and families are looked up.

    Raises:
        ModelError: the source is missing, damaged, or fits no layout or not its config; or what was written computes
            something else, and then nothing is left of it.
        OutputError: the destination exists, or cannot be written.
        UsageError: a converter's name is unknown, or none writes such a destination.
    """
    source, destination, config = wanted.source, wanted.destination, wanted.config
    if not is_there(source):
        raise ModelError(
            "no such folder or file",
            did_you_mean(nearest_path(source), "check the path of the source"),
            origin=Origin(str(source)),
            code="model-missing",
        )
    source, notes = chosen_checkpoint(source)
    reader = find_converter(source, registry) if wanted.from_name is None else registry.converter(wanted.from_name)
    writer = _writer_of(destination, registry) if wanted.to_name is None else registry.converter(wanted.to_name)
    if not writer.writes:
        raise UsageError(
            f"the layout {writer.name} is read, not written",
            f"choose one with --to NAME: {', '.join(_writers(registry))}",
            code="not-offered",
        )
    _check_destination(source, destination, wanted.force)

    describe(source=f"{source} ({reader.name})", destination=f"{destination} ({writer.name})")
    verified_facts(source if source.is_dir() else source.parent)
    weights = reader.read(source)
    config_json = weights.config if config is None else read_config(config)
    parsed = None
    if config_json is None:
        weights, known = _without_config(weights, registry, str(source))
    else:
        config_json = with_model_type(config_json, registry)
        family = find_family(config_json, registry, str(config or source))
        parsed = family.parse_config(config_json, str(config or source))
        known = ModelTensors(family, parsed, registry.heads)
        weights = canonical_weights(weights, known, str(source))
        _check_encoder(weights, family, parsed, str(source))
    weights = with_strangers(weights, known) if wanted.keep_unknown else without_strangers(weights, known)
    tokenizer_folder = weights.folder
    if config is not None and (tokenizer_folder is None or not _has_tokenizer(tokenizer_folder)):
        tokenizer_folder = config.parent
    weights = replace(weights, config=config_json, folder=tokenizer_folder)
    verification = None
    if wanted.verify:
        with staged(destination) as unproved:
            written = writer.write(weights, unproved)
            verification = _verify(
                reader, source, writer, unproved, parsed, tokenizer_folder, f"{source} -> {destination}"
            )
    else:
        written = writer.write(weights, destination)
    if destination.is_dir() and tokenizer_folder is not None:
        notes += _tokenizer_notes(tokenizer_folder, config_json, registry)
    files = [file.name for file in destination.iterdir()] if destination.is_dir() else [destination.name]
    return ConversionReport(
        source,
        destination,
        reader.name,
        writer.name,
        _joined(weights.report, written),
        tuple(sorted(files)),
        verification,
        (*notes, *weights.notes),
    )


def _without_config(weights: WeightSet, registry: Registry, origin: str) -> tuple[WeightSet, ModelTensors]:
    """Canonical weights of a file without a config: prefixes tell the family, and most files without hold a BERT."""
    families = [entry.item for _, entry in sorted(registry.families.items()) if not entry.item.any_model_type]
    named = (
        family for family in families if any(f".{family.prefix}{_WORDS}" in f".{name}" for name in weights.tensors)
    )
    family = next(named, None)
    if family is None:
        note = f"{origin}: taken for a BERT, since there is no config.json; of another family, give --config FILE"
        weights = replace(weights, notes=(*weights.notes, note))
    known = ModelTensors(family or registry.family("bert"), None, registry.heads)
    weights = canonical_weights(weights, known, origin)
    prefix = known.family.prefix
    inside = [name for name in weights.tensors if name.startswith(prefix)]
    missing = [name for name in (_WORDS, _QUERY) if prefix + name not in inside]
    odd = [name for name in inside if not known.has(name, ())]
    if missing or odd:
        seen = ", ".join((odd or list(weights.tensors))[:3])
        raise ModelError(
            f"holds no {missing[0]}, but {seen}, ..." if missing else f"no BERT has {seen}",
            "name the layout that it has with --from NAME, or give --config FILE",
            origin=Origin(origin),
            code="layout-unknown",
        )
    return weights, known


def _verify(
    reader: WeightConverter,
    source: Path,
    writer: WeightConverter,
    written: Path,
    config: BertConfig | None,
    tokenizer_folder: Path | None,
    origin: str,
) -> Verification:
    """Compares what both files compute."""
    both = []
    for converter, path in ((reader, source), (writer, written)):
        parts = converter.parts(path)
        if parts is None:
            problem = f"the layout {converter.name} cannot be verified"
            raise ModelError(problem, "leave --verify out", origin=Origin(origin), code="verification-impossible")
        both.append(parts)
    return compare(both[0], both[1], config, tokenizer_folder, origin)


def _writers(registry: Registry) -> list[str]:
    """Names of the converters that write."""
    return [name for name, entry in sorted(registry.converters.items()) if entry.item.writes]


def _writer_of(destination: Path, registry: Registry) -> WeightConverter:
    suffix = destination.suffix
    known = {suffix for entry in registry.converters.values() for suffix in entry.item.suffixes}
    if suffix not in known:
        # A dot before a digit belongs to a folder's name, as in model-1.5.
        if suffix[1:2].isalpha() and not destination.is_dir():
            raise UsageError(
                f"no converter writes {suffix} files",
                f"use one of {', '.join(sorted(known - {''}))}, or --to NAME; for a folder --to huggingface",
                origin=Origin(str(destination)),
                code="suffix-unknown",
            )
        suffix = ""
    names = [name for name, entry in sorted(registry.converters.items()) if suffix in entry.item.suffixes]
    if len(names) != 1:
        raise UsageError(
            f"{'no converter writes' if not names else ', '.join(names) + ' write'} such a destination",
            f"choose one with --to NAME: {', '.join(_writers(registry)) or 'none is installed'}",
            origin=Origin(str(destination)),
            code="suffix-unknown",
        )
    return registry.converter(names[0])


def _check_destination(source: Path, destination: Path, force: bool) -> None:
    """Refuses to replace what exists, unless forced, and a folder that is more than a model folder in any case."""
    # Unlike Path.exists, this one takes a name that is too long for one that is not there; writing then says why.
    if not os.path.exists(destination) or (destination.is_dir() and not any(destination.iterdir())):
        return
    if not force:
        raise OutputError(
            "it exists",
            "choose another destination, or replace it with --force",
            origin=Origin(str(destination)),
            code="output-exists",
        )
    if destination.is_dir():
        if destination.resolve() in (source.resolve(), *source.resolve().parents):
            raise OutputError(
                "it holds the source",
                "choose another destination",
                origin=Origin(str(destination)),
                code="source-in-danger",
            )
        if find_config(destination) is None or any(entry.is_dir() for entry in destination.iterdir()):
            raise OutputError(
                "no plain model folder",
                "choose another destination",
                origin=Origin(str(destination)),
                code="source-in-danger",
            )


def _check_encoder(weights: WeightSet, family: ModelFamily, config: BertConfig, origin: str) -> None:
    """Compares the encoder with the table of the config; heads are free, since the config does not tell their names."""
    table = family.known_table(config)
    inside = {name: tensor for name, tensor in weights.tensors.items() if name.startswith(family.prefix)}
    fit_parameters(
        table,
        inside or weights.tensors,  # where no name is right, all of them are shown
        skip_rules=family.skip_rules,
        origin=origin,
        encoder=family.prefix,
    )


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def _tokenizer_notes(folder: Path, config: Mapping[str, object] | None, registry: Registry) -> tuple[str, ...]:
    """What is to be said of the tokenizer's files, which are copied as they are."""
    if not _has_tokenizer(folder):
        return ()
    family = registry.family("bert") if config is None else find_family(config, registry, str(folder))
    try:
        return Tokenizer.load(folder, model_type=family.name, built=family.read_tokenizer(folder)).notes
    except ModelError as error:
        return (error.cause,)


def _joined(read: tuple[KeyReport, ...], written: tuple[KeyReport, ...]) -> tuple[ConvertedKey, ...]:
    """One report of reading and writing, joined at the canonical names."""
    writing = defaultdict(list)
    for entry in written:
        writing[entry.source].append(entry)
    keys = []
    for entry in read:
        if entry.target is None:
            keys.append(ConvertedKey(entry.source, None, None, entry.action))
            continue
        for then in writing[entry.target]:
            keys.append(
                ConvertedKey(entry.source, entry.target, then.target, joined_actions(entry.action, then.action))
            )
    return tuple(keys)
