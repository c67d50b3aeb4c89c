import contextlib
import json
from pathlib import Path

import pytest

from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from tests.support.frame_reader import FrameReader


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def emulate(stack):
    """Start an emulator on free ports; `emulate(size="8x6", rate=5)` sets emulator_size and emulator_rate."""

    def start(**settings) -> Emulator:
        named = {f"emulator_{name}": value for name, value in settings.items()}
        emulator = Emulator(EmulatorSettings(**{"emulator_port": 0, "emulator_size": "16x12", **named}))
        return stack.enter_context(emulator)

    return start


@pytest.fixture
def readers(stack):
    """Connect a reader to each source of an emulator; by source name."""

    def connect(emulator: Emulator) -> dict[str, FrameReader]:
        return {
            source.name: stack.enter_context(FrameReader(source.host, source.port))
            for source in emulator.sources
        }

    return connect


def read_truth(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def truth_file(tmp_path):
    return tmp_path / "truth.jsonl"


@pytest.fixture
def truth(truth_file):
    """The lines of the truth file so far."""
    return lambda: read_truth(truth_file)
