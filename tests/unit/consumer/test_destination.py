import pytest

from consumer.destination import Destination, target_settings
from consumer.settings import ConsumerSettings
from runtime.errors import SettingsError
from runtime.settings import load_settings
from schemas.errors import TopicNameError


@pytest.fixture
def source(monkeypatch):
    """Settings of a Kafka with a login, from the environment."""
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", "here:9092")
    monkeypatch.setenv("TRAPLINE_SECURITY_PROTOCOL", "sasl_plaintext")
    monkeypatch.setenv("TRAPLINE_SASL_MECHANISM", "SCRAM-SHA-512")
    monkeypatch.setenv("TRAPLINE_SASL_USERNAME", "reader")
    monkeypatch.setenv("TRAPLINE_SASL_PASSWORD", "secret")
    return load_settings(ConsumerSettings, known=[])


def test_without_more_it_is_the_cluster_that_is_read(source):
    assert target_settings(source, None, None) == source
    there = target_settings(source, None, "there:9092")
    assert there.bootstrap_servers == "there:9092"
    assert there.kafka_security.client_options() == source.kafka_security.client_options()


def test_a_file_alone_says_how_to_reach_another_cluster(source, tmp_path):
    file = tmp_path / "there.toml"
    file.write_text('bootstrap_servers = "there:9092"\nmax_frame_bytes = "8MiB"\n')
    there = target_settings(source, file, None)
    assert (there.bootstrap_servers, there.max_frame_bytes) == ("there:9092", 8 * 1024**2)
    options = str(there.kafka_security.client_options())
    assert "secret" not in options
    assert "SCRAM" not in options
    assert target_settings(source, file, "other:9092").bootstrap_servers == "other:9092"


def test_what_is_wrong_in_the_file_is_named(source, tmp_path):
    file = tmp_path / "there.toml"
    file.write_text('bootstrap_server = "there:9092"\n')
    with pytest.raises(SettingsError, match="did you mean bootstrap_servers"):
        target_settings(source, file, None)
    with pytest.raises(SettingsError, match="should be HOST:PORT"):
        target_settings(source, None, "there")


def test_a_prefix_and_a_topic(source):
    place = Destination.of_prefix(source, "again")
    assert (place.topic, place.catalogue, place.prefix) == ("again.groups", "again.catalogue", "again")
    assert Destination.of_topic(source, "any").catalogue is None
    for wrong in ("", "a b", ".", "x" * 250):
        with pytest.raises(TopicNameError, match="Kafka allows"):
            Destination.of_topic(source, wrong)
