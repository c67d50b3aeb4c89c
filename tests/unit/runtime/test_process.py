from urllib.request import urlopen

from prometheus_client import REGISTRY

from runtime.health import HealthServer
from runtime.process import running
from runtime.settings import ProcessSettings


def test_without_a_port_nothing_listens(monkeypatch):
    monkeypatch.setattr(HealthServer, "__init__", None)  # would fail if it were used
    with running("tested", ProcessSettings(), live=lambda: None, ready=lambda: None) as shutdown:
        assert not shutdown.requested


def test_health_is_served_while_it_runs(monkeypatch):
    servers = []
    enter = HealthServer.__enter__
    monkeypatch.setattr(HealthServer, "__enter__", lambda server: (servers.append(server), enter(server))[1])
    with running("tested", ProcessSettings(http_port=0), live=lambda: None, ready=lambda: None):
        (server,) = servers
        with urlopen(f"http://127.0.0.1:{server.port}/readyz", timeout=10) as answer:
            assert answer.status == 200
    labels = {"room": "tested"}
    assert any(
        sample.value == 1 and sample.labels.items() >= labels.items()
        for metric in REGISTRY.collect()
        if metric.name == "trapline_build_info"
        for sample in metric.samples
    )
