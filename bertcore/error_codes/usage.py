"""Kinds of errors in what a command, a function or the configuration is told; sorted by code."""

from __future__ import annotations

from bertcore.error_codes.kind import Kind

USAGE: dict[str, Kind] = {
    "argument-missing": Kind(
        "A command or a function needs something that is not named, such as task, model or data.", "Name it."
    ),
    "argument-unknown": Kind(
        "A command has no such option, or a function no such argument.", "Take the one that the remedy names."
    ),
    "argument-wrong": Kind(
        "An option or an argument has a value that it cannot have.", "Write it as the remedy shows."
    ),
    "arguments-conflict": Kind(
        "Two options or arguments exclude each other, or say the same thing twice.", "Leave one of them out."
    ),
    "backend-missing": Kind("No backend is installed.", "Install one: `pip install 'bertcore[torch]'`."),
    "command-unknown": Kind("There is no command of this name.", "Take one that `bertcore --help` lists."),
    "division-impossible": Kind(
        "The training examples cannot be divided into as many parts, or not at all.",
        "Divide into fewer, or name files.",
    ),
    "hosts-wrong": Kind(
        "A host or a device is chosen that the hostfile does not have, or none is left.", "Choose among those in it."
    ),
    "implementation-missing": Kind(
        "The backend has no code for this head, encoder or objective.",
        "Take another backend, or let a plugin register the code.",
    ),
    "model-closed": Kind("A model that was opened to predict has been closed.", "Open it again."),
    "model-contradicts": Kind(
        "A setting asks for what the model cannot do: longer rows, another number of labels an example.",
        "Follow the model, or take another one.",
    ),
    "name-unknown": Kind(
        "There is no task, backend, layout, split or other thing of this name.", "Take one of those that are named."
    ),
    "not-offered": Kind(
        "A task or a layout does not offer what is asked for: a leaderboard, an archive, files of one's own, writing.",
        "Leave it out, or take another one.",
    ),
    "package-missing": Kind("An optional package is not installed.", "Install it as the remedy says."),
    "plugin-switched-off": Kind("`-p no:NAME` switches off what is asked for.", "Leave that option out."),
    "processes-wrong": Kind(
        "A launcher started several processes and does not tell them all that they need to find each other.",
        "Set what is named.",
    ),
    "run-missing": Kind(
        "A path is no folder of a run, or that run has no best model yet.", "Give the `--output` of an earlier run."
    ),
    "runs-differ": Kind(
        "The runs that are given do not go together into one submission.", "Submit those of one leaderboard."
    ),
    "split-endless": Kind(
        "A split is a stream, and this needs one whose size is known.", "Name another split, or the number of steps."
    ),
    "suffix-unknown": Kind(
        "What shall be written has no form of this suffix.", "Give the destination one of the suffixes that are named."
    ),
    "teacher-unfit": Kind(
        "A teacher reads other rows, or other tokens, of the training examples than the student.",
        "Give one with the same tokenizer, or shorter rows.",
    ),
    "texts-count": Kind(
        "An input has more or fewer texts than the model reads.", "Give one text for each field that is named."
    ),
}

CONFIGURATION: dict[str, Kind] = {
    "adapter-target": Kind(
        "What `train.lora.targets` names is no linear layer of the encoder.", "Take one that the remedy names."
    ),
    "assignment-wrong": Kind("What follows `--set` is no assignment.", "Write `--set section.key=value`."),
    "class-unknown": Kind("A setting names a label that the data do not have.", "Write it as the data do."),
    "loss-option-unfit": Kind(
        "An option shapes a loss over labels, and that of the head is another: of a CRF, of spans, of numbers.",
        "Leave it out.",
    ),
    "metric-unknown": Kind("The task reports no metric of this name.", "Take one that it reports."),
    "parameter-unmatched": Kind(
        "No rule for groups of parameters matches a parameter of the model.", "End the rules with one that matches all."
    ),
    "parameters-missing": Kind(
        "A rule of `train.parameters` or `train.freeze` matches no parameter of the model, or none that is left.",
        "Name the part as the remedy says.",
    ),
    "setting-fixed": Kind(
        "A run that is resumed is given another value of a setting that shaped it.", "Leave it, or start a new run."
    ),
    "setting-unknown": Kind("The configuration has no such key.", "`bertcore config schema` lists all keys."),
    "setting-wrong": Kind("A key of the configuration has a value that it cannot have.", "Write what the schema says."),
    "settings-damaged": Kind("The configuration file is no valid TOML.", "Correct the line that is named."),
    "settings-unreadable": Kind("The configuration file is missing or cannot be read.", "Check the path."),
}
