"""Every line of docs/operations.md and docs/scaling.md that calls us is one that our command line takes."""

import re
import shlex
from pathlib import Path

import click
import pytest

from tests.support.command_line import parse
from tests.support.metrics_table import metrics
from trapline.all_settings import KNOWN_SETTINGS

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("operations.md", "scaling.md")


def text(page):
    return (DOCS / page).read_text()


def calls(page):
    """Lines of console blocks, and code between backquotes, that begin with our name."""
    yield from re.findall(r"^\s*\$ (trapline .+)$", text(page), re.MULTILINE)
    for span in re.findall(r"`([^`\n]+)`", text(page)):
        if span.startswith("trapline ") and "..." not in span:
            yield span


CALLS = sorted({line for page in PAGES for line in calls(page)})


@pytest.mark.parametrize("line", CALLS)
def test_each_call_is_one_that_the_command_line_takes(line):
    words = shlex.split(line.split(" | ")[0], comments=True)
    try:
        parse(words[1:])
    except click.MissingParameter:
        assert re.fullmatch(r"trapline [a-z]+( [a-z]+)?", line), "only a verb's mere name needs nothing"


def test_there_are_calls_and_one_with_a_wrong_option_is_refused():
    assert len(CALLS) > 30
    with pytest.raises(click.UsageError):
        parse(["topics", "create", "--partition-count", "3"])
    with pytest.raises(click.UsageError):
        parse(["topic", "create"])


@pytest.mark.parametrize("page", PAGES)
def test_metrics_and_settings_that_are_named_exist(page):
    series = {name for metric in metrics() for name in (*metric.series, metric.name)}
    named = set(re.findall(r"\btrapline_[a-z_]+[a-z]\b", text(page)))
    assert named <= series
    fields = {name for cls in KNOWN_SETTINGS for name in cls.model_fields}
    variables = set(re.findall(r"TRAPLINE_[A-Z_]+[A-Z]", text(page)))
    assert {name.removeprefix("TRAPLINE_").lower() for name in variables} <= fields
    words = re.findall(r"`([a-z]+(?:_[a-z]+)+)(?: = [^`]*)?`", text(page))
    settings = {word for word in words if not word.startswith(("trapline_", "ce_", "kube_"))}
    known = fields | {"read_committed", "read_uncommitted", "closed_by"}
    of_records = {
        "first_offset",
        "last_offset",
        "connect_failures",
        "unknown_source",
        "far_future",
        "bad_magic",
    }
    of_records |= {"lengths_refused", "bad_axes", "no_frequency", "raw_gap"}
    assert settings - known <= of_records


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", text(page)):
        path, _, anchor = target.partition("#")
        assert not path or (DOCS / path).exists(), target
        if anchor:
            other = (DOCS / path).read_text() if path else text(page)
            headings = re.findall(r"^#+ (.+)$", other, re.MULTILINE)
            anchors = {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}
            assert anchor in anchors, target
