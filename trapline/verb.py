"""How a verb's help looks: what it does, examples as one would type them, its own options, shared ones."""

from inspect import cleandoc
from typing import Any

import click


class Verb(click.Command):
    """A command of `trapline` with examples.

    `@click.command("tail", cls=Verb, examples="trapline tail --json | head")`
    """

    def __init__(self, *args: Any, examples: str, **attributes: Any) -> None:
        """As click's command.

        Args:
            args: for click.
            examples: command lines, shown as they are; a line '# ...' explains the one below it.
            attributes: for click.
        """
        super().__init__(*args, **attributes)
        self.examples = cleandoc(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, then the verb's own options, then those that every process has."""
        write_examples(self.examples, formatter)
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):  # the usage line has those
                (shared if getattr(param, "shared", False) else own).append(record)
        for title, records in (("Options", own), ("Logs, health and security", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records, col_max=34)


class VerbGroup(click.Group):
    """A verb with verbs of its own, and examples."""

    def __init__(self, *args: Any, examples: str, **attributes: Any) -> None:
        """As Verb."""
        super().__init__(*args, **attributes)
        self.examples = cleandoc(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples before the options."""
        write_examples(self.examples, formatter)
        super().format_options(ctx, formatter)


def write_examples(examples: str, formatter: click.HelpFormatter) -> None:
    """The lines as they stand: click would fill them into paragraphs."""
    with formatter.section("Examples"):
        for line in examples.splitlines():
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n" if line else "\n")
