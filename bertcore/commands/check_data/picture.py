"""A histogram of the lengths."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bertcore.commands.check_data.findings import DataReport
from bertcore.commands.check_data.presentation import listed
from bertcore.files.writing import atomic_write

DRAWN_LABELS = 40
"""How many labels a picture shows."""


def draw_report(report: DataReport, file: Path) -> tuple[str, ...]:
    """Draws the lengths and the label balance of all splits as a PNG picture, and returns what is to be said of it.

    Raises:
        OutputError: the file cannot be written.
    """
    import matplotlib

    drawn = "".join(label for split in report.splits.values() for label in (split.name, *split.labels))
    fonts, missing = _fonts_for(drawn)
    families = [*matplotlib.rcParams["font.family"], *fonts]
    with (
        matplotlib.rc_context({"font.family": families, "text.parse_math": False}),  # a label is no formula
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        _draw(report, file)
    if not missing:
        return ()
    shown = listed(missing, 5)
    return (f"{file}: drawn as boxes, no installed font has them: {shown}; install one, as Noto Sans CJK",)


def _fonts_for(text: str) -> tuple[list[str], list[str]]:
    """Installed fonts for the characters that matplotlib's usual font lacks, and the characters that none has."""
    from matplotlib import font_manager

    def lacking(file: str, characters: Iterable[str]) -> list[str]:
        font = font_manager.get_font(file)
        return [character for character in characters if not font.get_char_index(ord(character))]

    fonts: list[str] = []
    missing = lacking(font_manager.findfont(font_manager.FontProperties()), dict.fromkeys(text))
    while missing:
        # Every font of the same family will do; "Last Resort" has a box for every character.
        left = {
            font.name: lacking(font.fname, missing)
            for font in font_manager.fontManager.ttflist
            if font.style == "normal" and not font.name.startswith("Last Resort")
        }
        best = min(sorted(left), key=lambda name: len(left[name]), default=None)
        if best is None or len(left[best]) == len(missing):
            break
        fonts.append(best)
        missing = left[best]
    return fonts, missing


def _draw(report: DataReport, file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    length_axes, label_axes = figure.subplots(1, 2)
    in_tokens = any(split.tokens is not None for split in report.splits.values())
    drawn = {name: split.tokens if in_tokens else split.characters for name, split in report.splits.items()}
    longest = max((lengths.longest for lengths in drawn.values() if lengths is not None), default=1)
    bins = np.linspace(0, longest + 1, 60)
    for name, lengths in drawn.items():
        if lengths is not None:
            values = lengths.values
            length_axes.hist(
                values, bins=bins, weights=np.full(len(values), 100 / len(values)), histtype="step", label=name
            )
    if in_tokens and report.max_length is not None:
        length_axes.axvline(report.max_length, linestyle=":", color="black", label=f"limit {report.max_length}")
    length_axes.set(xlabel="tokens of an example" if in_tokens else "characters of an example", ylabel="% of the split")
    labeled = {name: split.labels for name, split in report.splits.items() if split.labels}
    names = list(dict.fromkeys(label for counts in labeled.values() for label in counts))[:DRAWN_LABELS]
    width = 0.8 / max(len(labeled), 1)
    for number, (name, counts) in enumerate(labeled.items()):
        whole = sum(counts.values())
        heights = [100 * counts.get(label, 0) / whole for label in names]
        label_axes.bar(np.arange(len(names)) + number * width, heights, width, label=name)
    label_axes.set(ylabel="% of the split", xlabel="label" if names else "no names of labels")
    label_axes.set_xticks(np.arange(len(names)) + 0.4 - width / 2, names, rotation=45, ha="right")
    for axes in (length_axes, label_axes):
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    with atomic_write(file) as output:
        figure.savefig(output, format="png", dpi=110)
