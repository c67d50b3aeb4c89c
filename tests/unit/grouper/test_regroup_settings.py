"""What a regrouping's settings refuse, and what they make of the grouper's."""

import pytest

from grouper.regroup_settings import RegroupSettings
from runtime.errors import SettingsError
from runtime.settings import load_settings
from schemas.offset_metadata import MAX_LENGTH, OffsetMetadata, RegroupRun


def load(**settings):
    given = {"sources": "sb0=tcp://127.0.0.1:1", "to_prefix": "trial", **settings}
    return load_settings(RegroupSettings, overrides=given, known=[])


def test_raw_is_read_from_one_prefix_and_groups_go_to_another():
    names = load(topic_prefix="night").topics
    assert names.all() == ("night.raw", "trial.groups", "trial.catalogue", "trial.rejects")


def test_the_live_groupers_position_is_never_its_own():
    assert load(grouper_group_id="night-groupers").consumer_group == "trial.regroup"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"to_prefix": None}, "to_prefix|TO_PREFIX.*say --to-prefix"),
        ({"to_prefix": "aartfaac"}, "where the live groups are"),
        ({"to_prefix": "a b"}, "Kafka allows letters"),
        ({"sources": ""}, "names no source"),
        ({"broker_wait_s": 0}, "broker_wait_s"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, text):
    with pytest.raises(SettingsError, match=text):
        load(**settings)


@pytest.mark.parametrize(
    "changed",
    [
        {"sources": "sb1=tcp://127.0.0.1:1"},
        {"expected": "auto"},
        {"grace_s": 6},
        {"reorder_grace_s": 1},
        {"silent_after": 4},
        {"late": "repair"},
        {"older": "group"},
        {"remember": 50_000},
        {"max_open_groups": 100},
        {"max_open_bytes": "1GiB"},
    ],
)
def test_each_rule_tells_runs_apart(changed):
    assert load(**changed).rules_as_text != load().rules_as_text


@pytest.mark.parametrize(
    "changed", [{"transaction_max_groups": 3}, {"sources": "sb0=tcp://elsewhere:2"}, {"broker_wait_s": 5}]
)
def test_what_is_no_rule_does_not(changed):
    assert load(**changed).rules_as_text == load().rules_as_text


def test_the_rules_of_very_many_sources_fit_beside_what_waits():
    many = ",".join(f"source-{number:050d}=tcp://127.0.0.1:1" for number in range(500))
    rules = load(sources=many).rules_as_text
    assert rules != load(sources=many.replace("49=", "50x=")).rules_as_text
    metadata = OffsetMetadata(2**62, 2**62, {}, frozenset(), RegroupRun(2**62, rules))
    assert len(metadata.encode()) < MAX_LENGTH / 2
    assert OffsetMetadata.decode(metadata.encode()) == metadata
