import pytest

from consumer.settings import TrapSettings
from consumer.trap import bootstrap_servers
from runtime.errors import SettingsError
from runtime.settings import load_settings


@pytest.mark.parametrize(
    ("hosts", "ports", "servers"),
    [
        (["localhost"], [9092], "localhost:9092"),
        (("a", "b"), ("9092", 9093), "a:9092,b:9093"),
        (["a", "b"], [9092], "a:9092,b:9092"),
        ("a, b", "9092,9093", "a:9092,b:9093"),
        (["a,b"], 9092, "a:9092,b:9092"),
        (["::1", "[fe80::1]"], [9092], "[::1]:9092,[fe80::1]:9092"),
    ],
)
def test_hosts_and_ports_as_trap_has_them(hosts, ports, servers):
    assert bootstrap_servers(hosts, ports) == servers


@pytest.mark.parametrize(
    ("hosts", "ports", "words"),
    [
        ([], [9092], "needs Kafka's hosts and ports"),
        (["a"], [], "needs Kafka's hosts and ports"),
        (["a", "b", "c"], [1, 2], "3 hosts and 2 ports"),
        (["a"], ["9092x"], "'9092x' is no TCP port"),
        (["a"], [0], "'0' is no TCP port"),
        (["a"], [65536], "'65536' is no TCP port"),
    ],
)
def test_hosts_and_ports_that_are_none(hosts, ports, words):
    with pytest.raises(ValueError, match=words):
        bootstrap_servers(hosts, ports)


def test_the_consumer_group_is_stable_and_has_the_prefix():
    settings = load_settings(TrapSettings, overrides={"topic_prefix": "night"}, known=[])
    assert settings.consumer_group_id == "night.trap"
    named = load_settings(TrapSettings, overrides={"trap_group_id": "mine"}, known=[])
    assert named.consumer_group_id == "mine"


def test_wrong_settings_are_named_all_at_once():
    with pytest.raises(SettingsError) as caught:
        load_settings(TrapSettings, overrides={"trap_start": "soon", "trap_require": "most"}, known=[])
    assert {problem.key for problem in caught.value.problems} == {"trap_start", "trap_require"}
