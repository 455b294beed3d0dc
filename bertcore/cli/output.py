"""What commands print: names and texts from files are shown, and do nothing to the terminal."""

from __future__ import annotations

import click

from bertcore.errors import printable


def say(text: str, err: bool = False) -> None:
    """Prints text for people; JSON is printed as it is, because :func:`bertcore.files.writing.json_text` escapes it.

    Args:
        text: of one line or of several; other control characters than tabs are escaped.
        err: whether it goes to standard error.
    """
    click.echo(printable(text, longest=len(text) + 1, keep="\n\t"), err=err)
