import pytest
from pydantic import ValidationError

from emulator.camera import ImageSize
from emulator.images import ring_steps
from emulator.misbehaviour import Fault, Misbehaviour
from emulator.pacing import Pace
from emulator.settings import EmulatorSettings
from runtime.errors import SettingsError
from runtime.settings import load_settings


def load(**overrides):
    named = {f"emulator_{name}": value for name, value in overrides.items()}
    return load_settings(EmulatorSettings, overrides=named, known=[EmulatorSettings])


def test_texts_of_the_command_line_are_understood():
    settings = load(
        sources="4", size="320x240", rate="2.5", start="2026-01-01T00:00:00Z", cadence_s="0.5",
        misbehave=("cut:every=3", "garbage,stall:seconds=2"), pixel_order="transposed",
    )  # fmt: skip
    assert settings.emulator_size == ImageSize(320, 240)
    assert settings.pace == Pace(2.5, 1_767_225_600_000_000, 500_000)
    assert settings.emulator_misbehave == (
        Misbehaviour(Fault.CUT, every=3),
        Misbehaviour(Fault.GARBAGE),
        Misbehaviour(Fault.STALL, seconds=2.0),
    )


def test_one_number_is_a_square():
    assert load(size="640").emulator_size == ImageSize(640, 640)


def test_max_is_no_rate():
    assert load(rate="max").pace == Pace(None)


@pytest.mark.parametrize(
    ("given", "clients"),
    [
        ({}, 0),
        ({"frames": 3}, 0),
        ({"frames": 3, "truth": "t"}, 1),
        ({"truth": "t"}, 0),
        ({"rate": "max"}, 1),
        ({"rate": "max", "wait_for_clients": 0}, 0),
        ({"wait_for_clients": 2}, 2),
    ],
)
def test_who_is_waited_for(given, clients):
    assert load(**given).wait_for_clients == clients


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"size": "big"}, "NAXIS1xNAXIS2"),
        ({"size": "0x5"}, "pixels"),
        ({"size": "70000x70000"}, "pixels"),
        ({"rate": "0"}, "rate"),
        ({"rate": "fast"}, "rate"),
        ({"start": "yesterday"}, "ISO 8601"),
        ({"misbehave": "cut:every=x"}, "every"),
        ({"misbehave": "cut:source=sb6"}, "sb6"),
        ({"sources": 10, "port": 65_530}, "65539"),
        ({"keep_dates": "true"}, "--fits"),
    ],
)
def test_what_is_wrong_is_said(given, words):
    with pytest.raises(SettingsError, match=words):
        load(**given)


def test_settings_from_the_environment(monkeypatch):
    monkeypatch.setenv("TRAPLINE_EMULATOR_SIZE", "8x6")
    monkeypatch.setenv("TRAPLINE_EMULATOR_RATE", "max")
    settings = load()
    assert settings.emulator_size == ImageSize(8, 6)
    assert settings.emulator_rate is None


def test_settings_are_fixed():
    with pytest.raises(ValidationError):
        load().emulator_seed = 5


@pytest.mark.parametrize(
    ("asked", "rate", "size", "steps"),
    [
        (None, 1.0, ImageSize(1024, 1024), 0),  # the demo: rendered live
        (None, None, ImageSize(1024, 1024), 10),  # 240 MiB
        (None, None, ImageSize(64, 64), 32),
        (None, None, ImageSize(8192, 8192), 2),
        (None, 50.0, ImageSize(1024, 1024), 10),
        (5, 1.0, ImageSize(1024, 1024), 5),
        (0, None, ImageSize(1024, 1024), 0),
    ],
)
def test_how_many_steps_are_kept(asked, rate, size, steps):
    assert ring_steps(asked, rate, size, 6) == steps
