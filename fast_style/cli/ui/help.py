"""Help pages: the basic options explained, the others named; the verbs used most with an example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cyclopts.help import ColumnSpec, DefaultFormatter, HelpEntry, HelpPanel

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

# What cyclopts calls the panels of arguments and options that are in no group.
_BASIC = {"Arguments", "Parameters"}


class Basics(DefaultFormatter):
    """Explains the options that are in no group, and names those of each group, for ``--help-all`` to explain."""

    _begun = False

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print one panel of a help page."""
        if panel.format == "command" or panel.title in _BASIC:
            super().__call__(console, options, panel)
            return
        from rich.table import Table

        if not self._begun:
            console.print("\nMore, explained by --help-all:", highlight=False)
            self._begun = True
        line = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        line.add_column(min_width=10, no_wrap=True)
        line.add_column(style="cyan")
        line.add_row(panel.title, " ".join(entry.names[0] for entry in panel.entries if entry.names))
        console.print(line)


def with_examples(examples: Mapping[str, str]) -> DefaultFormatter:
    """Return what prints a panel of verbs, each with its example."""

    def explain(entry: HelpEntry) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        return Group(entry.description, Text(examples[entry.names[0]], "dim"))

    return DefaultFormatter(
        column_specs=(
            ColumnSpec(renderer=lambda entry: entry.names[0], style="cyclopts.name"),
            ColumnSpec(renderer=explain, overflow="fold"),
        )
    )
