"""docs/consumers.md: what it says to type works, and it names every header that there is."""

import json
import re
import shlex
from pathlib import Path

import pytest

from schemas.timestamp import format_timestamp
from tests.interop.foreign_tools import must_run
from tests.interop.pictures import NAMES
from tests.support.raw_topic import START_US

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "consumers.md").read_text()


@pytest.fixture
def commands(published, kafka):
    """Its two commands, as words, for the topics of this session."""
    lines = re.findall(r"^\$ kcat (.*)$", PAGE, re.MULTILINE)
    return [
        shlex.split(
            line.replace("localhost:9092", kafka.bootstrap_servers).replace(
                "aartfaac", published.names.prefix
            )
        )
        for line in lines
    ]


def test_its_commands_find_a_group_by_observation_time(published, commands):
    in_catalogue, in_groups = commands
    assert in_catalogue[-1] == f"s@{START_US // 1000}"
    (entry,) = map(json.loads, must_run("kcat", *in_catalogue).splitlines())
    assert entry["timestamp"] == format_timestamp(START_US)
    in_groups[in_groups.index("4711")] = str(entry["first_offset"])
    found = [line.split() for line in must_run("kcat", *in_groups).decode().splitlines()]
    offsets = sorted(record.offset for record in published.records.values())
    assert found == [[format_timestamp(START_US), str(offset)] for offset in offsets[:6]]
    assert len(offsets) == len(NAMES) > 6


def test_it_names_every_header():
    schema = json.loads((ROOT / "schemas" / "json" / "image-headers.schema.json").read_text())
    assert set(schema["properties"]) == set(re.findall(r"`(ce_[a-z]+|content-type)`", PAGE))


def test_it_opens_with_what_goes_wrong_most():
    first, second = PAGE.splitlines()[2:4]
    assert "read_committed" in first
    assert "group id and index" in second
