"""What was probably meant by a command or an option that does not exist: a near miss, or another program's name."""

from __future__ import annotations

import click

from bertcore.near_misses import nearest_name

COMMANDS_ELSEWHERE = {
    "train": "run",
    "fit": "run",
    "finetune": "run",
    "fine-tune": "run",
    "resume": "run",
    "eval": "evaluate",
    "test": "evaluate",
    "validate": "evaluate",
    "infer": "predict",
    "inference": "predict",
    "classify": "predict",
    "export": "convert",
    "check": "data check",
    "submission": "submit",
    "info": "doctor",
    "env": "doctor",
    "list": "tasks",
    "models": "tasks",
    "settings": "config",
    "schema": "config schema",
    "show": "config show",
}
"""What others call a command."""

OPTIONS_ELSEWHERE = {
    "lr": "--learning-rate",
    "bs": "--batch-size",
    "batch": "--batch-size",
    "per-device-train-batch-size": "--batch-size",
    "per-device-eval-batch-size": "--set evaluate.batch_size=ROWS",
    "per-gpu-train-batch-size": "--batch-size",
    "train-batch-size": "--batch-size",
    "eval-batch-size": "--set evaluate.batch_size=ROWS",
    "num-train-epochs": "--epochs",
    "num-epochs": "--epochs",
    "n-epochs": "--epochs",
    "max-seq-length": "--max-length",
    "max-seq-len": "--max-length",
    "seq-length": "--max-length",
    "maxlen": "--max-length",
    "model-name-or-path": "--model",
    "model-name": "--model",
    "model-path": "--model",
    "model-dir": "--model",
    "pretrained-model": "--model",
    "load-checkpoint": "--model",
    "config-name": "--model",
    "tokenizer-name": "--model",
    "task-name": "--task",
    "data-dir": "--data",
    "dataset": "--data",
    "dataset-name": "--data",
    "dataset-dir": "--data",
    "train-dataset-dir": "--data",
    "eval-dataset-dir": "--data",
    "train-file": "--train",
    "train-data": "--train",
    "validation-file": "--dev",
    "valid": "--dev",
    "dev-file": "--dev",
    "eval-file": "--dev",
    "test-file": "--test",
    "predict-data": "--input",
    "output-dir": "--output",
    "save-dir": "--output",
    "out": "--output",
    "overwrite-output-dir": "--resume",
    "resume-from-checkpoint": "--resume",
    "resume-training": "--resume",
    "framework": "--backend",
    "device-target": "--device",
    "device-id": "--device",
    "use-cpu": "--device cpu",
    "no-cuda": "--device cpu",
    "fp16": "--precision fp16",
    "bf16": "--precision bf16",
    "report-to": "--tracker",
    "metric-for-best-model": "--metric",
    "text-column-name": "--set data.text=NAME",
    "text-column": "--set data.text=NAME",
    "label-column-name": "--set data.label=NAME",
    "label-column": "--set data.label=NAME",
    "do-lower-case": "--set data.lowercase=true",
    "dropout-rate": "--set train.dropout=false",
    "gradient-accumulation-steps": "--set train.accumulation=N",
    "lr-scheduler-type": "--set train.schedule=linear",
    "lr-scheduler-kwargs": "--set train.schedule_options.power=2",
    "warmup": "--set train.warmup_ratio=PART",
    "warmup-proportion": "--set train.warmup_ratio=PART",
    "max-grad-norm": "--set train.clip_norm=NORM",
    "adam-epsilon": "--set train.eps=VALUE",
    "layerwise-lr-decay": "--set train.layer_decay=0.9",
    "layer-decay": "--set train.layer_decay=0.9",
    "adversarial-train": "--set train.adversarial=fgm",
    "fgm": "--set train.adversarial=fgm",
    "pgd": "--set train.adversarial=pgd",
    "do-adv": "--set train.adversarial=fgm",
    "adv-epsilon": "--set train.adversarial_options.epsilon=1.0",
    "r-drop": "--set train.r_drop=4.0",
    "rdrop": "--set train.r_drop=4.0",
    "ema": "--set train.ema=0.999",
    "use-ema": "--set train.ema=0.999",
    "ema-decay": "--set train.ema=0.999",
    "label-smoothing": "--set head.label_smoothing=0.1",
    "label-smoothing-factor": "--set head.label_smoothing=0.1",
    "focal-loss": "--set head.focal_gamma=2",
    "class-weight": "--set head.class_weights=balanced",
    "class-weights": "--set head.class_weights=balanced",
    "lora": "--set train.lora.rank=8",
    "use-lora": "--set train.lora.rank=8",
    "lora-r": "--set train.lora.rank=8",
    "lora-rank": "--set train.lora.rank=8",
    "lora-alpha": "--set train.lora.alpha=16",
    "lora-dropout": "--set train.lora.dropout=0.1",
    "distill": "--teacher RUN",
    "teacher-name-or-path": "--teacher RUN",
    "temperature": "--set train.distill.temperature=2",
    "freeze": "--set train.freeze=encoder",
    "freeze-encoder": "--set train.freeze=encoder",
    "logging-steps": "--set train.log_steps=N",
    "eval-steps": "--set train.evaluate_steps=N",
    "evaluation-steps": "--set train.evaluate_steps=N",
    "patience": "--set train.early_stopping=N",
    "early-stopping-patience": "--set train.early_stopping=N",
    "crf": "--set head.crf=true",
    "use-crf": "--set head.crf=true",
}
"""Options of transformers' scripts, of mindformers' ``run_mindformer.py`` and of habit, and what does the same here."""

MODES_ELSEWHERE = {
    "do-train": "leave it out: bertcore run trains and evaluates",
    "do-eval": "leave it out, or score a finished run: bertcore evaluate RUN",
    "do-predict": "predict with a finished run: bertcore predict RUN --input FILE",
    "run-mode": "the command says it: bertcore run, bertcore evaluate RUN or bertcore predict RUN",
    "use-parallel": "leave it out: one process trains",
    "pad-to-max-length": "leave it out: rows are padded as far as their batch needs",
}
"""Options whose part is played by something else."""


def command_remedy(name: str, commands: list[str], path: str) -> str:
    """What to type instead of a command that does not exist.

    Args:
        name: as it was typed.
        commands: those of the group.
        path: the group as it was called.
    """
    elsewhere = COMMANDS_ELSEWHERE if "run" in commands else {}
    near = nearest_name(name, [*commands, *elsewhere])
    return f"see {path} --help" if near is None else f"did you mean {path} {elsewhere.get(near, near)}?"


def option_remedy(name: str, context: click.Context) -> str:
    """What to type instead of an option that the command does not have.

    Args:
        name: as it was typed.
        context: of the command.
    """
    options = [option for parameter in context.command.params for option in parameter.opts if option.startswith("--")]
    plain = name.lstrip("-").lower().replace("_", "-")
    if plain in MODES_ELSEWHERE:
        return MODES_ELSEWHERE[plain]
    meant = (
        next((option for option in options if option == f"--{plain}"), None)
        or _elsewhere(plain, options)
        or (_key(plain) if "--set" in options else None)
        or nearest_name(plain, options, cutoff=0.65)
        or _other_command(plain, context)
    )
    help_page = f"see {context.command_path} --help"
    return help_page if meant is None else f"did you mean {meant}? {help_page}"


def _elsewhere(plain: str, options: list[str]) -> str | None:
    near = nearest_name(plain, OPTIONS_ELSEWHERE, cutoff=0.9)
    meant = None if near is None else OPTIONS_ELSEWHERE[near]
    return meant if meant is not None and meant.split()[0] in options else None


def _key(plain: str) -> str | None:
    """The key of the configuration that has this name, whole or without its section."""
    from bertcore.config import RunConfig, known_keys

    wanted = plain.replace("-", "_")
    keys = [key for key, _ in known_keys(RunConfig)]
    found = next((key for key in keys if wanted in (key, key.rpartition(".")[2])), None)
    return None if found is None else f"--set {found}=VALUE"


def _other_command(plain: str, context: click.Context) -> str | None:
    """Another command that has the option."""
    root = context.find_root()
    if not isinstance(root.command, click.Group):
        return None
    for name in root.command.list_commands(root):
        command = root.command.get_command(root, name)
        if command is not None and any(f"--{plain}" in parameter.opts for parameter in command.params):
            return f"bertcore {name}, which has --{plain}"
    return None
