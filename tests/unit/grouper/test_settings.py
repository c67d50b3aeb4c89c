"""What the grouper's settings refuse."""

import pytest

from grouper.settings import GrouperSettings
from runtime.errors import SettingsError
from runtime.settings import load_settings


def load(**settings):
    return load_settings(
        GrouperSettings, overrides={"sources": "sb0=tcp://127.0.0.1:1", **settings}, known=[]
    )


def test_the_rules_come_from_the_settings():
    rules = load(sources="b=tcp://h:1,a=tcp://h:2", grace_s=2, reorder_grace_s=1, older="group").rules
    assert (rules.expected, rules.grace_s, rules.group_older) == (("b", "a"), 2.0, True)
    assert rules.reorder_grace_s == 1.0


def test_auto_needs_no_sources():
    assert load(sources="", expected="auto").rules.expected is None
    assert load(expected="auto", late="repair").rules.repair_late


def test_the_consumer_group_follows_the_prefix():
    assert load(topic_prefix="night").consumer_group == "night.grouper"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"sources": ""}, "names no source.*TRAPLINE_EXPECTED=auto"),
        ({"sources": "auto"}, "TRAPLINE_EXPECTED=auto"),
        ({"late": "perhaps"}, "late"),
        ({"remember": 999}, "remember"),
        ({"remember": 2000, "max_open_groups": 501}, "4 times max_open_groups"),
        ({"grace_s": 0}, "grace_s"),
        ({"older": "perhaps"}, "older"),
        ({"reorder_grace_s": 5}, "set grace_s above it"),
        ({"reorder_grace_s": -1}, "reorder_grace_s"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, text):
    with pytest.raises(SettingsError, match=text):
        load(**settings)
