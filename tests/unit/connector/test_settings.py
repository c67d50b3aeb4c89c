import pytest

from connector.settings import ConnectorSettings
from runtime.errors import SettingsError
from runtime.settings import load_settings
from schemas.frame import FrameLimits


def load(**overrides):
    overrides.setdefault("sources", "sb0=tcp://127.0.0.1:6666")
    return load_settings(ConnectorSettings, overrides=overrides, known=[])


def problems(**overrides):
    with pytest.raises(SettingsError) as caught:
        load(**overrides)
    return {problem.key: problem.text for problem in caught.value.problems}


def test_defaults():
    settings = load()
    assert settings.queue_max_bytes == 1024**3
    assert settings.max_future_s == 300
    assert settings.frame_limits == FrameLimits()


def test_limits_go_to_the_decoder():
    limits = load(
        max_frame_bytes="512KiB", queue_max_bytes="8MiB", max_resync_bytes="1MiB", max_reject_bytes=1000
    ).frame_limits
    assert limits == FrameLimits(
        max_fits_bytes=512 * 1024,
        max_frame_bytes=512 * 1024,
        max_resync_bytes=1024**2,
        max_reject_bytes=1000,
    )


@pytest.mark.parametrize(
    ("overrides", "key", "words"),
    [
        ({"sources": ""}, "sources", "names no source; --source NAME=tcp://HOST:PORT"),
        ({"sources": "auto"}, "sources", "TRAPLINE_EXPECTED=auto"),
        ({"sources": "sb0=tcp://127.0.0.1"}, "sources", "has no port"),
        ({"reconnect_min_s": 20.0}, "reconnect_min_s", r"is above reconnect_max_s (15)"),
        ({"stall_timeout_s": 90.0}, "stall_timeout_s", r"is above max_frame_time_s (60)"),
        ({"queue_max_bytes": "64MiB"}, "queue_max_bytes", "should be at least 68157440"),
        ({"max_reject_bytes": "1MiB"}, "max_reject_bytes", "less than or equal to 524288"),
        ({"queue_max_bytes": "4TiB"}, "queue_max_bytes", "less than or equal to"),
        ({"stall_timeout_s": 0}, "stall_timeout_s", "greater than 0"),
        ({"spool": "sometimes"}, "spool", "'off', 'overflow' or 'through'"),
        ({"spool": "through"}, "TRAPLINE_SPOOL_DIR", "is missing: spool=through needs a folder"),
        ({"spool": "overflow", "spool_dir": "s", "spool_max_bytes": "64MiB"}, "spool_max_bytes", "68157440"),
        (
            {"spool": "overflow", "spool_dir": "s", "spool_max_bytes": "1GiB", "spool_segment_bytes": "2GiB"},
            "spool_segment_bytes",
            "is above spool_max_bytes",
        ),
        ({"share": "2/2"}, "share", "should be NUMBER/CONNECTORS"),
        ({"share": "0/2"}, "share", "makes 2 shares of 1 sources, so some connectors would read nothing"),
        (
            {"share": "0/3", "share_copies": 2},
            "share",
            "is of 3 connectors, which is no multiple of share_copies (2)",
        ),
        ({"share_copies": 2}, "share_copies", "is about shares, and there is none (share)"),
        ({"fsync": True}, "fsync", "is about the spool, which is off"),
    ],
)
def test_what_is_wrong_is_named(overrides, key, words):
    found = problems(**overrides)
    assert list(found) == [key]
    assert words in found[key]


def test_all_that_is_wrong_is_named_at_once():
    found = problems(sources="", reconnect_min_s=20.0, stall_timeout_s=90.0)
    assert found.keys() == {"sources", "reconnect_min_s", "stall_timeout_s"}


def many(number):
    return ",".join(f"sb{n}=tcp://127.0.0.1:{6000 + n}" for n in range(number))


def test_all_sources_together_have_a_bound():
    """64 servers that each send nearly a whole frame of the largest size may not take 8 GiB unasked."""
    found = problems(sources=many(64))
    assert list(found) == ["TRAPLINE_READING_MAX_BYTES"]
    assert "64 sources" in found["TRAPLINE_READING_MAX_BYTES"]
    assert load(sources=many(30)).reading_max_bytes == 4 * 1024**3
    assert len(load(sources=many(64), max_frame_bytes="8MiB").sources) == 64
    assert len(load(sources=many(64), reading_max_bytes="16GiB").sources) == 64


def test_a_share_of_the_sources_is_what_counts_for_memory_and_spool():
    """64 sources in 4 shares: 16 are read here."""
    settings = load(sources=many(64), share="3/4", spool="through", spool_dir="s")
    assert [source.name for source in settings.own_sources][:3] == ["sb3", "sb6", "sb11"]
    assert len(settings.own_sources) == 16
    assert len(settings.sources) == 64
    assert settings.spool_reserve_bytes == 16 * 65 * 1024**2
    whole = load(sources="a=tcp://h:1,b=tcp://h:2", share="1/2", share_copies=2)
    assert [source.name for source in whole.own_sources] == ["a", "b"]
