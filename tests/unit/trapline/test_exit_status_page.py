"""docs/exit-status.md has every verb, and the verbs that read say the statuses in their help, too."""

import re
from pathlib import Path

import pytest

from tests.support.reading_verbs import READING_VERBS
from trapline import cli

PAGE = Path(__file__).parents[3] / "docs" / "exit-status.md"


def test_every_verb_has_a_row():
    first_cells = re.findall(r"^\| (`.+?) \|", PAGE.read_text(), re.MULTILINE)
    verbs = [name for cell in first_cells for name in re.findall("`(.+?)`", cell)]
    assert {name.split()[0] for name in verbs} == set(cli.VERBS)
    assert len(verbs) == len(set(verbs))
    for name in READING_VERBS:
        assert name.split(" --")[0] in verbs


@pytest.mark.parametrize("name", READING_VERBS)
def test_a_verb_that_reads_says_them_in_its_help(name, capsys):
    assert cli.run([*name.split(" --")[0].split(), "--help"]) == 0
    assert "Exit status: 0 " in capsys.readouterr().out
