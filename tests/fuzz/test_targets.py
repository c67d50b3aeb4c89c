"""The short run: the corpus, and some thousand inputs near it, the same ones each time; no engine needed."""

import hashlib
import importlib.util
import re
import subprocess
import sys

import pytest

from schemas import cards, fits_image, timestamp
from schemas.frame import FrameDecoder
from schemas.offset_metadata import OffsetMetadata
from tests.fuzz.mutation import mutations
from tests.fuzz.targets import CORPUS, TARGETS, corpus, run
from tests.fuzz.tokens import TOKENS
from tests.fuzz.verdict import FindingError
from tests.support.waiting import timeout_s

COUNT = {"stream": 200}  # an input is read four times, a few bytes at a time
USUAL_COUNT = 1000


def replay(target):
    inputs = corpus(target)
    assert inputs
    for data in inputs.values():
        run(target, data)


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_has_no_finding(target):
    replay(target)


@pytest.mark.parametrize("target", TARGETS)
def test_inputs_near_the_corpus_have_no_finding(target):
    inputs = [data for data in corpus(target).values() if len(data) <= 4096]
    for data in mutations(inputs, TOKENS[target], seed=target, count=COUNT.get(target, USUAL_COUNT)):
        try:
            run(target, data)
        except Exception as error:
            name = hashlib.sha256(data).hexdigest()[:12]
            raise AssertionError(f"put this into {CORPUS.name}/{target}/{name}: {data!r}") from error


def test_mutations_are_the_same_each_time():
    first, again = (
        list(mutations([bytes(range(99)), b"two" * 40], [b"x"], seed="s", count=50)) for _ in range(2)
    )
    assert first == again
    assert len(set(first)) > 40


def drop_a_byte(decoder, size):
    decoder._skipped_bytes += size
    decoder._start += size + 1


PLANTED = {
    "stream": (FrameDecoder, "_skip", drop_a_byte),
    "cards": (cards, "_INTEGER", re.compile(".*")),
    "window": (fits_image, "_QUOTED_FREQUENCY", fits_image._DATE_OBS),
    "time": (timestamp, "_FORMAT", re.compile(".*")),
    "metadata": (OffsetMetadata, "encode", lambda _metadata: "{}"),
}


@pytest.mark.parametrize("target", PLANTED)
def test_a_planted_defect_is_found(target, monkeypatch):
    """A target that cannot fail would be worth nothing."""
    monkeypatch.setattr(*PLANTED[target])
    with pytest.raises(Exception):  # noqa: B017, PT011  what a defect raises is its own affair
        replay(target)


def test_work_that_explodes_is_a_finding(monkeypatch):
    monkeypatch.setattr("tests.fuzz.verdict.MAX_INPUT_S", 0.0)
    with pytest.raises(FindingError, match="processor time"):
        run("source", b"sb0=tcp://127.0.0.1:4000")


def test_the_engine_takes_every_input_it_is_told_to(tmp_path):
    """Where it has no wheel, it is said what to install."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "metadata", "--runs=2000", "--seed=1", f"--folder={tmp_path}"],
        capture_output=True,
        text=True,
        timeout=timeout_s(120),
        check=False,
    )
    if importlib.util.find_spec("atheris") is None:
        assert (done.returncode, "trapline[fuzz]" in done.stderr) == (2, True)
    else:
        assert done.returncode == 0, done.stdout
        assert "2,000" in done.stdout
        assert "nothing found" in done.stdout
