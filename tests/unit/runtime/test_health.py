import socket
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client import Counter

from runtime.errors import SettingsError
from runtime.health import HealthServer, Heartbeat
from runtime.metrics import show_build_info

SCRAPES = Counter("tested_scrapes_total", "Counted by a test.")


@pytest.fixture
def problems():
    return {"live": None, "ready": "no partition yet"}


@pytest.fixture
def server(problems):
    with HealthServer(
        "127.0.0.1", 0, live=lambda: problems["live"], ready=lambda: problems["ready"]
    ) as running:
        yield running


def get(server, path):
    try:
        with urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_live_and_ready_say_why_not(server, problems):
    assert get(server, "/livez") == (200, "ok\n")
    assert get(server, "/readyz") == (503, "no partition yet\n")
    problems.update(live="stuck", ready=None)
    assert get(server, "/livez") == (503, "stuck\n")
    assert get(server, "/readyz") == (200, "ok\n")


def test_metrics(server):
    SCRAPES.inc(3)
    show_build_info("tested")
    status, text = get(server, "/metrics")
    assert status == 200
    assert "tested_scrapes_total 3.0" in text
    assert 'trapline_build_info{confluent_kafka="' in text
    assert 'room="tested"' in text


def test_other_paths(server):
    assert get(server, "/") == (404, "there are /livez, /readyz and /metrics\n")


def test_a_port_in_use_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"http_port: can't listen on 127.0.0.1:{port}"):
            HealthServer("127.0.0.1", port, live=lambda: None, ready=lambda: None)


def test_heartbeat():
    now_s = 100.0
    heartbeat = Heartbeat(max_age_s=10, clock=lambda: now_s)
    assert heartbeat.problem() is None
    now_s = 111.0
    assert heartbeat.problem() == "the main loop has not turned for 11 s (at most 10 s)"
    heartbeat.beat()
    assert heartbeat.problem() is None
