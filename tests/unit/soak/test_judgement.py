"""What a soak judges: each figure that has to be flat, and that all was read."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.soak.__main__ import judged, problems_of
from tests.soak.errors import SoakError
from tests.soak.run import Outcome
from tests.soak.sampling import Sample, of_metrics, of_processes

CONNECTOR = {"trapline_connector_queue_bytes": 2.0**20, "trapline_connector_spool_bytes": 2.0**21}
GROUPER = {"trapline_grouper_open_groups": 1.0}
PROCESSES = ("connector", "grouper", "auditor", "reader", "broker")
# What "does anything grow" has to look at: memory, threads and file descriptors of each process, spool, lag.
NAMED = [
    *(f"{process} {kind}" for process in PROCESSES for kind in ("rss", "threads", "fds")),
    *("connector queue", "connector spool", "grouper open", "grouper lag", "reader lag"),
]


def figures():
    """As a sample has them."""
    of_each = of_processes(dict.fromkeys(PROCESSES, os.getpid()))
    return {
        **of_each,
        **of_metrics(CONNECTOR, GROUPER, spool=True),
        "grouper lag": 3.0,
        "reader lag": 2.0,
        "kafka data": 1.0,
        "disk free": 50.0,
    }


def course_of(name=None, growth=0.0):
    """A hundred samples, of which one figure grows by so much each."""
    still = figures()
    return tuple(
        Sample(5.0 * number, still | ({} if name is None else {name: still[name] + growth * number}))
        for number in range(100)
    )


def test_all_that_has_to_be_flat_is_judged():
    courses = judged(course_of())
    assert sorted(each.name for each in courses) == sorted(NAMED)
    assert all(each.flat for each in courses)


@pytest.mark.parametrize("name", NAMED)
def test_growth_of_each_is_found(name):
    assert [each.name for each in judged(course_of(name, growth=20.0)) if not each.flat] == [name]


def test_growth_after_the_warm_up_of_a_broker_is_found():
    samples = course_of()
    grown = [
        replace(sample, figures=sample.figures | {"broker threads": max(0, number - 50)})
        for number, sample in enumerate(samples)
    ]
    assert [each.name for each in judged(tuple(grown)) if not each.flat] == ["broker threads"]


@pytest.mark.parametrize("metric", [*CONNECTOR, *GROUPER])
def test_a_metric_that_is_gone_is_not_flat(metric):
    connector, grouper = ({n: v for n, v in each.items() if n != metric} for each in (CONNECTOR, GROUPER))
    with pytest.raises(SoakError, match=metric):
        of_metrics(connector, grouper, spool=True)


def test_without_a_spool_there_is_no_figure_of_it():
    del_spool = {"trapline_connector_queue_bytes": 0.0}
    assert "connector spool" not in of_metrics(del_spool, GROUPER, spool=False)


@pytest.mark.parametrize("reaped", [False, True])
def test_a_process_that_has_ended_is_named(reaped):
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert of_processes({"grouper": process.pid})["grouper threads"] == 1
        process.kill()
        if reaped:
            process.wait()
        else:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(SoakError, match="the grouper"):
            of_processes({"grouper": process.pid})


def outcome(**more):
    return replace(Outcome((), 10, 10, 10, (), {}), **more)


def test_all_was_read_and_nothing_found():
    assert problems_of(outcome()) == []


@pytest.mark.parametrize("fewer", [{"read": 9}, {"complete": 9}, {"sent": 11}])
def test_a_group_that_was_not_read_or_lacks_something_is_a_problem(fewer):
    assert problems_of(outcome(**fewer)) == ["not every timestamp that was sent was read as a complete group"]


def test_each_finding_of_the_auditor_is_a_problem():
    assert problems_of(outcome(findings=("one", "two"))) == ["finding: one", "finding: two"]
