"""Regroupings: their topics, runs in the test's own process, and runs that die."""

import os
import subprocess
import sys

from grouper.regroup import Regrouped, Regrouping
from grouper.regroup_settings import RegroupSettings
from grouper.steps import OnStep, no_step
from runtime.settings import load_settings
from runtime.shutdown import Shutdown
from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from tests.support.raw_topic import RawTopic
from tests.support.waiting import timeout_s


def make_target(raw: RawTopic, name: str = "again") -> str:
    """The topics of a regrouping of this raw; their prefix."""
    prefix = f"{raw.prefix}.{name}"
    overrides = {
        "bootstrap_servers": raw.bootstrap_servers,
        "topic_prefix": prefix,
        "partitions": raw.partitions,
    }
    create_topics(load_settings(TopicsSettings, overrides=overrides, known=[]))
    return prefix


def regroup_overrides(raw: RawTopic, target: str, **more) -> dict[str, object]:
    return {
        "bootstrap_servers": raw.bootstrap_servers,
        "topic_prefix": raw.prefix,
        "to_prefix": target,
        "sources": ",".join(f"{source}=tcp://127.0.0.1:1" for source in raw.sources),
        **more,
    }


def regroup(raw: RawTopic, target: str, on_step: OnStep = no_step, **more) -> Regrouped:
    """Regroup to the end, in this process."""
    settings = load_settings(RegroupSettings, overrides=regroup_overrides(raw, target, **more), known=[])
    return Regrouping(settings, on_step=on_step).run(Shutdown())


def environment(overrides: dict[str, object]) -> dict[str, str]:
    """The same as environment variables; nothing else of TRAPLINE_ is set."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("TRAPLINE_")}
    return {**clean, **{f"TRAPLINE_{name.upper()}": str(value) for name, value in overrides.items()}}


def regroup_process(raw: RawTopic, target: str, **more) -> subprocess.Popen[str]:
    """`trapline regroup`."""
    return subprocess.Popen(
        [sys.executable, "-m", "trapline", "regroup"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(regroup_overrides(raw, target, **more)),
    )


def run_command(*args: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """`trapline ...` to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "trapline", *args],
        capture_output=True,
        text=True,
        timeout=timeout_s(120),
        check=False,
        env=environment(settings),
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done
