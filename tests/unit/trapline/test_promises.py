"""README.md's promises: each names tests, and these exist."""

import re
from pathlib import Path

import pytest

from tests.chaos.page import BEGIN, PAGE, with_table
from tests.chaos.round import Outcome, Recovery
from tests.chaos.schedule import cases

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
_LINK = re.compile(r"\]\((tests/[^)#]+\.py)#(test_\w+)\)")


def promises():
    """The lines of the table, without its head."""
    section = README.split("## What it promises")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


def test_there_are_promises():
    assert len(promises()) > 10


@pytest.mark.parametrize("line", promises(), ids=lambda line: line.split("|")[1].strip()[:40])
def test_each_names_tests_that_exist(line):
    links = _LINK.findall(line)
    assert links
    for path, name in links:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path} has no {name}"
    assert len(links) == line.count("](tests/")


@pytest.mark.parametrize("page", ["reliability.md"])
def test_tests_that_pages_link_to_exist(page):
    folder = ROOT / "docs"
    links = re.findall(r"\]\((\.\./[^)#]+)", (folder / page).read_text())
    assert links
    for link in links:
        assert (folder / link).exists(), link


def outcome(number, *recoveries, **counts):
    felt = [
        Recovery(fault, victim, "plain", 1, "seen", 1, next_s, next_s + 1, 0.0)
        for fault, victim, next_s in recoveries
    ]
    return Outcome(number, [], counts, felt, 1.0)


def test_the_table_is_made_of_the_journals():
    first = outcome(0, ("kill", "grouper", 7.0), ("stop", "reader", 0.1), windows=60, groups=10)
    second = outcome(1, ("kill", "grouper", 9.0), windows=30, groups=5, lost=2, torn=1)
    second.problems.append("lost: 2, of which ...")
    page = with_table(PAGE.read_text(), [("seed-1", [first]), ("seed-2", [second])])
    assert "| kill | grouper | 1 | 2 | 2, 0, 1 | 8.0, 9.0 | 10.0 |" in page
    assert "| stop | reader | 1 | 1 | 0, 0, 0 | 0.1, 0.1 | 1.1 |" in page
    assert "2 rounds of 2 runs (seed-1, seed-2), 3 faults" in page
    assert "90 windows in raw, 15 groups: 2 lost, 0 twice, 1 torn" in page
    assert "- seed-2, round 1: lost: 2, of which ..." in page
    # A case that was never struck is not hidden.
    assert page.count("never struck") == len(cases()) - 2
    # Made again, it replaces itself.
    assert with_table(page, [("seed-1", [first])]).count(BEGIN) == 1


def test_the_page_names_every_fault():
    page = PAGE.read_text()
    assert not [fault for _, _, fault, _ in cases() if f"| {fault} |" not in page]
