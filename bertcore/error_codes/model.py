"""Kinds of errors of model folders, weight files and checkpoints; sorted by code."""

from __future__ import annotations

from bertcore.error_codes.kind import Kind

MODEL: dict[str, Kind] = {
    "adapter-damaged": Kind("An adapter's `adapter_config.json` cannot be read.", "Get the file again."),
    "adapter-mismatch": Kind(
        "An adapter does not fit the model, or the settings that shall train it further.",
        "Give the model that it was trained for.",
    ),
    "adapter-missing": Kind("A folder holds no adapter in peft's layout.", "Give the folder `adapter/` of a run."),
    "adapter-unmerged": Kind(
        "Weights hold an adapter of peft beside the model, or it alone.",
        "Merge it where it was trained, and save that.",
    ),
    "adapter-unsupported": Kind(
        "An adapter is of another kind than LoRA, or of a variant of it, as DoRA.", "Merge it with peft."
    ),
    "architecture-unsupported": Kind(
        "The model computes something that is not supported, as relative positions.", "Use another model."
    ),
    "checkpoint-damaged": Kind("A checkpoint of a run cannot be read.", "Start the run anew."),
    "checkpoint-missing": Kind("A run has no checkpoint to go on from.", "Start the run anew."),
    "checkpoint-version": Kind("A checkpoint was written by another release.", "Use that release."),
    "encoder-missing": Kind("A file holds no encoder, or several.", "Give the one that is meant."),
    "family-unknown": Kind(
        "`config.json` names no family of models that is known, or that this backend computes.", "Take another backend."
    ),
    "file-changed": Kind(
        "A file of a trained model is not what it was when it was written.", "Restore it from a copy."
    ),
    "head-mismatch": Kind(
        "The head of the model is not the one of the task.", "Start a new head, or order the labels."
    ),
    "head-missing": Kind("The model has no fine-tuned head.", "Give the folder of a finished run."),
    "hub-access-denied": Kind("The hub gives the model only to those who accepted its terms.", "Accept, and log in."),
    "hub-unreachable": Kind("The hub cannot be reached, or may not.", "Check the network, or give a folder."),
    "layout-lacks": Kind("A layout has no place for a part of the model.", "Take another layout."),
    "layout-unknown": Kind(
        "The weights are in no layout that is known, or in another one than is named.", "Name it with `--from`."
    ),
    "model-config-damaged": Kind("The model's `config.json` cannot be read.", "Get the file again."),
    "model-config-missing": Kind("A model folder has no `config.json`.", "Copy it there."),
    "model-config-wrong": Kind("The model's `config.json` holds a value that cannot be.", "Correct it."),
    "model-missing": Kind("There is no model of this name, in no folder and not on the hub.", "Check the name."),
    "model-untrainable": Kind("transformers has the model, but it cannot be trained here.", "Use another model."),
    "not-weights": Kind(
        "A file is something else than weights: a pointer of git-lfs, a web page, an archive, a part of a download.",
        "Get the file that the remedy names.",
    ),
    "sample-missing": Kind("The sample model is not installed.", "Install it as the remedy says."),
    "tokenizer-damaged": Kind("A file of the tokenizer cannot be read.", "Get the tokenizer's files again."),
    "tokenizer-incomplete": Kind("The vocabulary lacks a special token.", "Check that it is the model's vocabulary."),
    "tokenizer-mismatch": Kind(
        "The tokenizer does not belong to the model, or not to the task.", "Use the files that belong to the model."
    ),
    "tokenizer-missing": Kind("A model folder has no tokenizer.", "Copy the tokenizer's files there."),
    "tokenizer-unsupported": Kind(
        "The tokenizer is Python code or a SentencePiece model, which is not run.",
        "Let transformers write the fast form.",
    ),
    "transformers-missing": Kind("The model is computed by transformers, which is missing.", "Install transformers."),
    "verification-failed": Kind(
        "Converted weights do not compute what the source computes; nothing was written.", "Check the layout's name."
    ),
    "verification-impossible": Kind(
        "The layout cannot be verified, or the file holds no encoder to verify.", "Leave `--verify` out."
    ),
    "weights-damaged": Kind("A weight file is cut off or damaged.", "Download, copy or save it again."),
    "weights-distributed": Kind(
        "Each process saved its own part of the weights (DeepSpeed, FSDP, torch).", "Merge them as the remedy says."
    ),
    "weights-incomplete": Kind("Files or tensors of a set of weights are missing.", "Get all of one set."),
    "weights-mismatch": Kind(
        "Names or shapes of weights are not those of the model.",
        "Check that weights and `config.json` belong together.",
    ),
    "weights-missing": Kind("A weight file does not exist, or a folder holds none.", "Check the path."),
    "weights-refused": Kind(
        "A weight file holds more than tensors, and may run code; nothing of it was run.", "Save its tensors alone."
    ),
    "weights-unreadable": Kind("The system refuses to read a file of the model.", "Check its permissions."),
    "weights-unsupported": Kind(
        "The weights are encrypted, quantized, compressed or of an old form that is not read.", "Save them in another."
    ),
}
