"""Weight files: :func:`convert`."""

from __future__ import annotations

from pathlib import Path

from bertcore.api.arguments import PathOrText, checked
from bertcore.commands import convert_weights as conversion
from bertcore.commands.conversion import Conversion, ConversionReport
from bertcore.plugins.registry import Registry


@checked
def convert(
    source: PathOrText,
    destination: PathOrText,
    *,
    from_name: str | None = None,
    to_name: str | None = None,
    config: PathOrText | None = None,
    force: bool = False,
    verify: bool = False,
    keep_unknown: bool = False,
    registry: Registry | None = None,
) -> ConversionReport:
    """Converts weights from one layout to another.

    Args:
        source: file or folder to read.
        destination: file or folder to write.
        from_name: converter to read with; by default the one that recognizes the source.
        to_name: converter to write with; by default the one that the destination's ending names.
        config: the model's ``config.json``; by default the one beside the source.
        force: replace a destination that exists.
        verify: compute the model from both files and compare; nothing that differs is kept.
        keep_unknown: write also what no model has, such as gradients, moments and a script's own layers.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    wanted = Conversion(
        Path(source),
        Path(destination),
        from_name=from_name,
        to_name=to_name,
        config=None if config is None else Path(config),
        force=force,
        verify=verify,
        keep_unknown=keep_unknown,
    )
    return conversion.convert(wanted, registry or Registry())
