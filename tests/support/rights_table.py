"""The table of rights for docs/security.md. `python -m tests.support.rights_table` writes it there."""

from collections.abc import Iterator
from pathlib import Path

from runtime.acls import RIGHTS, Match, Right

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- rights: begin -->\n", "<!-- rights: end -->\n"
_NAMES = {"prefix": "PREFIX", "grouper_group": "PREFIX.grouper", "reader_group": "PREFIX.trap"}


def table() -> str:
    """Markdown, with the names that are used where nothing else is said."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in _rows())


def _rows() -> Iterator[tuple[str, ...]]:
    yield "role", "on", "may", "what for"
    yield ("---",) * 4
    for role, rights in RIGHTS.items():
        for right in rights:
            yield role, _resource(right), ", ".join(right.operations), right.why


def _resource(right: Right) -> str:
    name = right.name.format(**_NAMES)
    # `acls` grants readers all groups that begin with the name of the drop-in's.
    prefixed = right.match is Match.PREFIXED or "{reader_group}" in right.name
    return f"{right.resource.replace('-', ' ')} `{name}{'*' if prefixed else ''}`"


def with_table(page: str) -> str:
    """The page with the table of the code in it."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
