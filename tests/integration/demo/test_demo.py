"""The demo as a newcomer runs it, small; and the judge in it, shown what it must not accept."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading

import psutil
import pytest
from astropy.io import fits

from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from runtime.settings import load_settings
from schemas.timestamp import format_timestamp
from tests.support.grouping import grouping
from tests.support.kafka import process_gone
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import timeout_s, wait_until
from trapline.demo.comparison import Comparison

SMALL = ["--size=48x32", "--sources=3", "--rate=4"]


def start_demo(folder, *args, **variables):
    return subprocess.Popen(
        [sys.executable, "-m", "trapline", "demo", *SMALL, f"--output={folder}", *args],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def rest_of(demo, timeout):
    """What is printed until the end. `communicate` would lose what `readline` has read ahead."""
    too_long = threading.Timer(timeout, demo.kill)
    too_long.start()
    try:
        rest = demo.stdout.read()
        demo.wait()
    finally:
        too_long.cancel()
    return rest


def test_the_demo_shows_groups_equal_to_what_was_sent(tmp_path):
    with start_demo(tmp_path, "--groups=5") as demo:
        output, _ = demo.communicate(timeout=timeout_s(180))
    assert demo.returncode == 0, output
    lines = re.findall(r"^  (\S+Z)  3/3  latency +(\d+) ms  equal to what was sent$", output, re.MULTILINE)
    assert len(lines) == 5
    assert re.search(r"Started in \d+\.\d s", output)
    (written,) = tmp_path.glob("run-*/last-group.fits")
    assert str(written) in output
    assert not (written.parent / "kafka").exists()  # images would add up over runs
    with fits.open(written, checksum=True) as hdus:
        assert [hdu.name for hdu in hdus[1:]] == ["sb0", "sb1", "sb2"]
        assert hdus[1].data.shape == (32, 48)
        assert hdus[0].header["DATE-OBS"] + "Z" == lines[-1][0]


def test_a_process_that_fails_ends_the_endless_demo_and_is_named(tmp_path):
    """And settings of the user's own, which are for another Kafka, make none of them fail."""
    theirs = {"TRAPLINE_HTTP_PORT": "1", "TRAPLINE_PARTITIONS": "4", "TRAPLINE_SECURITY_PROTOCOL": "SSL"}
    with start_demo(tmp_path, "--groups=0", **theirs) as demo:
        output = ""
        while output.count("equal to what was sent") < 2:
            line = demo.stdout.readline()
            assert line, output
            output += line
        connector = int(re.search(r"connector (\d+)", output).group(1))
        os.kill(connector, signal.SIGTERM)  # ends by itself: nobody killed it
        rest = rest_of(demo, timeout_s(90))
    assert demo.returncode == 1, output + rest
    assert "trapline: error: `trapline connector` ended with status 0" in rest
    assert "Traceback" not in rest


def test_ctrl_c_ends_the_endless_demo_with_a_summary_and_no_process_left(tmp_path):
    with start_demo(tmp_path, "--groups=0") as demo:
        groups = 0
        output = ""
        while groups < 3:
            line = demo.stdout.readline()
            assert line, output
            output += line
            groups += "equal to what was sent" in line
        demo.send_signal(signal.SIGINT)
        rest = rest_of(demo, timeout_s(90))
    assert demo.returncode == 0, output + rest
    assert re.search(r"\d+ groups, \d+ complete", rest)
    (run,) = tmp_path.glob("run-*")
    for log in run.glob("*.log"):
        assert "Traceback" not in log.read_text(), log
    assert not (run / "broker.txt").exists()  # the broker takes it away when it has stopped


@pytest.mark.parametrize("victim", ["grouper", "broker"])
def test_what_is_killed_is_started_again_and_no_group_is_lost_or_doubled(tmp_path, victim):
    with start_demo(tmp_path, "--groups=60") as demo:
        output = ""
        while "kill -9 any of" not in output:
            line = demo.stdout.readline()
            assert line, output
            output += line
        pid = int(re.search(rf"{victim} (\d+)", output).group(1))
        os.kill(pid, signal.SIGKILL)
        rest = rest_of(demo, timeout_s(180))
    assert demo.returncode == 0, output + rest
    assert f"{victim} (process {pid}) was ended by SIGKILL; started again" in rest
    assert rest.count("3/3") == 60
    assert "60 groups, 60 complete" in rest


def test_a_demo_that_is_killed_leaves_no_process(tmp_path):
    """Those that it started again itself are no exception: another thread has started them."""
    with start_demo(tmp_path, "--groups=0") as demo:
        output = ""
        while "kill -9 any of" not in output:
            line = demo.stdout.readline()
            assert line, output
            output += line
        victim = int(re.search(r"grouper (\d+)", output).group(1))
        os.kill(victim, signal.SIGKILL)
        while "started again as" not in output:
            line = demo.stdout.readline()
            assert line, output
            output += line
        family = psutil.Process(demo.pid).children(recursive=True)
        commands = [each.cmdline() for each in family]
        demo.kill()
        try:
            wait_until(lambda: all(process_gone(each.pid) for each in family), timeout=60)
        finally:
            for each in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
    verbs = {command[3] for command in commands if command[1:3] == ["-m", "trapline"]}
    assert verbs == {"broker", "emulator", "grouper", "tail", "connector"}
    assert any("kafka.Kafka" in command for command in commands)


@pytest.fixture
def judged(kafka, topic_prefix, tmp_path):
    """Two groups in Kafka, a truth file to spoil, and the judge's verdict."""
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix).create()
    with grouping(raw) as grouper:
        raw.send(at(0))
        raw.send(at(1))
        wait_until(lambda: grouper.summary.groups == 2, timeout=60)
    raw.close()
    settings = load_settings(
        ConsumerSettings,
        overrides={"bootstrap_servers": kafka.bootstrap_servers, "topic_prefix": topic_prefix},
        known=[],
    )
    truth = tmp_path / "truth.jsonl"

    def judge(lines, times=1):
        truth.write_text("".join(json.dumps(line) + "\n" for line in lines))
        comparison = Comparison(settings, truth)
        try:
            with GroupStream(settings, start="beginning", max_groups=2) as groups:
                problems = [p for group in groups for _ in range(times) for p in comparison.problems(group)]
            return problems + [f"lost {timestamp}" for timestamp in comparison.lost()]
        finally:
            comparison.close()

    lines = [
        {"timestamp": format_timestamp(timestamp_us), "source": source, "digest": digest}
        for (timestamp_us, source), digest in raw.sent.items()
    ]
    return judge, lines


def test_the_judge_accepts_what_is_right(judged):
    judge, lines = judged
    assert judge(lines) == []


def test_the_judge_names_what_is_wrong(judged):
    judge, lines = judged
    other = [{**lines[0], "digest": "xxh3-128:" + "0" * 32}, *lines[1:]]
    assert judge(other) == ["the frame of sb0 in raw is not what was sent"]
    assert judge(lines[1:]) == ["sb0 is in the group and was not sent"]
    more = [*lines, {**lines[0], "source": "sb9"}]
    assert judge(more) == ["lacks sb9, which were sent"]
    earlier = [{**lines[0], "timestamp": format_timestamp(at(0) + 1)}, *lines]
    assert judge(lines, times=2) == ["this timestamp came twice"] * 2
    assert judge(earlier) == [f"lost {format_timestamp(at(0) + 1)}"]
