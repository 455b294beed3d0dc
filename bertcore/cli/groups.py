"""Groups of commands that say what was probably meant."""

from __future__ import annotations

import click

from bertcore.errors import UsageError


class HelpfulGroup(click.Group):
    """A group that knows near misses of its commands."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command that the first argument names.

        Raises:
            UsageError: there is none of this name.
        """
        name = arguments[0]
        is_option = name.startswith("-")
        if self.get_command(context, name) is None and not is_option and not context.resilient_parsing:
            from bertcore.cli.suggestions import command_remedy

            path = context.command_path
            raise UsageError(
                f"{path} has no command {name!r}",
                command_remedy(name, self.list_commands(context), path),
                code="command-unknown",
            )
        return super().resolve_command(context, arguments)
