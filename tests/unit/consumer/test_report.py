import json
from dataclasses import replace

from consumer.report import json_line, line
from tests.support.image_records import group
from tests.support.published_groups import START_US

RECEIVED_US = START_US + 2  # the last of three images


def test_a_line_for_people():
    text = line(group(partition=1, first_offset=8), RECEIVED_US + 123_456)
    assert text == "2026-11-23T10:00:00.000000Z    3/3     0.123 s  partition 1  offset 8"


def test_what_is_odd_is_said():
    odd = replace(group(sources=("sb0",), missing=("sb1", "sb2"), revision=2), out_of_order=True)
    text = line(odd, START_US)
    assert "1/3" in text
    assert text.endswith("missing sb1,sb2  revision 2  out of order")


def test_a_line_for_programs():
    text = json_line(group(sources=("sb0", "sb2"), missing=("sb1",), first_offset=8), START_US + 1_500_001)
    assert "\n" not in text
    assert json.loads(text) == {
        "timestamp": "2026-11-23T10:00:00.000000Z",
        "size": 2,
        "expected": 3,
        "complete": False,
        "missing": ["sb1"],
        "partition": 0,
        "offset": 8,
        "last_offset": 9,
        "revision": 1,
        "group_id": "2026-11-23T10:00:00.000000Z/r1/o0",
        "sources": ["sb2", "sb0"],
        "latency_s": 1.5,
        "out_of_order": False,
    }
