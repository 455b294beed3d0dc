"""Kinds of errors of the machine, of what is installed and of places to write to; sorted by code."""

from __future__ import annotations

from bertcore.error_codes.kind import Kind

DEVICE: dict[str, Kind] = {
    "backend-unusable": Kind(
        "A backend or a format is installed, but what it needs is missing or of a wrong version.", "Install that."
    ),
    "device-fixed": Kind(
        "The process computes on one device already and cannot change to another.", "Start another process."
    ),
    "device-missing": Kind("This machine does not have the device.", "Take one of those that are named."),
    "device-unknown": Kind("The backend knows no device of this name.", "Take one of those that are named."),
    "host-differs": Kind(
        "A host of a run has another version of bertcore, or other files, than the first one.",
        "Make them the same everywhere.",
    ),
    "host-unreachable": Kind(
        "A command cannot be run on a host of the hostfile.", "Reach it by ssh without a password, with bertcore there."
    ),
    "out-of-memory": Kind(
        "The device has no memory for a batch of rows.",
        "Compute fewer rows at a time (`train.micro_batch=auto`, `evaluate.batch_size`), shorter rows "
        "(`data.max_length`), or in bf16 (`run.precision`, `evaluate.precision`).",
    ),
    "port-taken": Kind(
        "Another program listens at the port where the processes of a run meet.",
        "Start again: bertcore's own launcher takes another one. For that of others name one with `MASTER_PORT`.",
    ),
    "precision-unknown": Kind("The device does not compute in this precision.", "Take one of those that are named."),
    "ranks-impossible": Kind(
        "A backend computes in one process alone, and is one of several.", "Take another backend, or one process."
    ),
    "ranks-lost": Kind(
        "A process of a run, or its host, was lost: killed, cut off, or stuck.", "Go on with `--resume`."
    ),
}

PLUGIN: dict[str, Kind] = {
    "contract-broken": Kind(
        "A plugin gave something else than its contract says.", "Report it to the plugin's authors."
    ),
    "plugin-broken": Kind(
        "A plugin that is needed could not be loaded; its error is shown.", "Repair or uninstall the plugin."
    ),
}

OUTPUT: dict[str, Kind] = {
    "disk-full": Kind("There is no space left where something is written.", "Free some space, or write elsewhere."),
    "output-exists": Kind("The destination exists already.", "Choose another one, or replace it with `--force`."),
    "output-unwritable": Kind(
        "The destination cannot be written: no permission, something in the way, or a name that is too long.",
        "Choose another one.",
    ),
    "run-in-use": Kind("Another process is writing to this folder.", "Wait until it has ended, or stop it."),
    "source-in-danger": Kind(
        "The destination holds the source, or more than what is replaced.", "Choose another destination."
    ),
    "writer-missing": Kind("This layout is not written, or not under this suffix.", "Take another one of those named."),
}

TRAINING: dict[str, Kind] = {
    "loss-not-finite": Kind(
        "The loss or a gradient is NaN or infinite.", "Lower the learning rate, or look for damaged weights."
    ),
}
