"""librdkafka refuses a configuration that contradicts itself when a client is made: so make each."""

import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import SecretStr

from runtime import kafka
from runtime.errors import KafkaUnavailableError, MissingTopicError
from runtime.kafka_errors import as_trapline_error, explain
from runtime.settings import TraplineSettings
from tests.support.certificate import CERTIFICATE, KEY
from tests.support.client_certificates import CLIENTS

MIB = 1024**2


@pytest.fixture(params=[1024, 64 * MIB, 512 * MIB])
def settings(request):
    # Port 1: nothing answers there, and nothing has to.
    return TraplineSettings(bootstrap_servers="127.0.0.1:1", max_frame_bytes=request.param)


@pytest.mark.parametrize("queue_bytes", [1, 64 * MIB, 1024 * MIB, 64 * 1024 * MIB])
def test_raw_producer_is_accepted(settings, queue_bytes):
    kafka.raw_producer(settings, queue_bytes=queue_bytes)


@pytest.mark.parametrize("timeout_s", [1, 30.0, 900])
def test_transactional_producer_is_accepted(settings, timeout_s):
    kafka.transactional_producer(settings, "aartfaac-group-0", transaction_timeout_s=timeout_s)


@pytest.mark.parametrize("session_timeout_s", [1, 6, 300, 3000])
@pytest.mark.parametrize("queue_bytes", [1, 64 * MIB, 1024 * MIB])
def test_log_consumer_is_accepted(settings, session_timeout_s, queue_bytes):
    consumer = kafka.log_consumer(
        settings,
        group_id="group",
        static_id="one",
        session_timeout_s=session_timeout_s,
        queue_bytes=queue_bytes,
        enable_partition_eof=True,
    )
    consumer.close()


def test_log_consumer_without_a_group_is_accepted(settings):
    kafka.log_consumer(
        settings, group_id=None, isolation_level="read_uncommitted", auto_offset_reset="earliest"
    ).close()


def test_statistics_are_accepted(settings):
    kafka.log_consumer(settings, group_id=None, on_stats=dict).close()
    kafka.raw_producer(settings, queue_bytes=MIB, on_stats=dict)


def test_admin_client_is_accepted(settings):
    kafka.admin_client(settings)


@pytest.mark.parametrize(
    "security",
    [
        {"security_protocol": "ssl", "ssl_verify_hostname": False},
        {
            "security_protocol": "sasl_plaintext",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "me",
            "sasl_password": SecretStr("secret"),
        },
        {
            "security_protocol": "sasl_ssl",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": "me",
            "sasl_password": SecretStr("secret"),
        },
        {
            "security_protocol": "sasl_ssl",
            "sasl_mechanism": "OAUTHBEARER",
            "sasl_oauth_token_url": "https://127.0.0.1:1/token",
            "sasl_oauth_client_id": "trapline",
            "sasl_oauth_client_secret": SecretStr("secret"),
            "sasl_oauth_scope": "kafka",
        },
    ],
)
def test_every_security_mode_is_accepted(security):
    settings = TraplineSettings(bootstrap_servers="127.0.0.1:1", **security)
    kafka.admin_client(settings)
    kafka.raw_producer(settings, queue_bytes=MIB)
    kafka.log_consumer(settings, group_id=None).close()


def test_mutual_tls_is_accepted(tmp_path):
    certificate_file, key_file = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate_file.write_text(CERTIFICATE)
    key_file.write_text(KEY)
    settings = TraplineSettings(
        bootstrap_servers="127.0.0.1:1",
        security_protocol="ssl",
        ssl_ca_file=certificate_file,
        ssl_certificate_file=certificate_file,
        ssl_key_file=key_file,
    )
    kafka.admin_client(settings)


def test_an_unreachable_broker_is_told_in_words():
    admin = kafka.admin_client(TraplineSettings(bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(KafkaUnavailableError, match=r"does not answer.*TRAPLINE_BOOTSTRAP_SERVERS"):
        kafka.require_kafka(admin, timeout_s=0.5)
    assert admin.state.last_error is not None
    assert admin.state.all_brokers_down
    admin.state.works()
    assert admin.state.last_error is None
    assert not admin.state.all_brokers_down


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (KafkaError._ALL_BROKERS_DOWN, "does not answer"),
        (KafkaError._TRANSPORT, "TRAPLINE_BOOTSTRAP_SERVERS"),
        (KafkaError._AUTHENTICATION, "login to Kafka failed"),
        (KafkaError._SSL, "TRAPLINE_SSL_CA_FILE"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "may not use the topic"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "may not use the consumer group"),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "may not write transactions"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "trapline topics create"),
        (KafkaError.MSG_SIZE_TOO_LARGE, "TRAPLINE_MAX_FRAME_BYTES"),
        (KafkaError.INVALID_TIMESTAMP, "trapline topics check"),
        (KafkaError.INVALID_REQUIRED_ACKS, "Kafka reports an error (INVALID_REQUIRED_ACKS"),
    ],
)
def test_errors_in_words(code, words):
    assert words in explain(KafkaError(code))


def test_exceptions_become_ours():
    missing = as_trapline_error(KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)), "a.raw")
    assert isinstance(missing, MissingTopicError)
    assert str(missing).startswith("a.raw: the topic does not exist")
    other = as_trapline_error(KafkaException("odd"))
    assert isinstance(other, KafkaUnavailableError)
    assert "odd" in str(other)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"ssl_ca_file": "bad"}, "TRAPLINE_SSL_CA_FILE"),
        ({"ssl_certificate_file": "bad", "ssl_key_file": "key"}, "TRAPLINE_SSL_CERTIFICATE_FILE"),
        ({"ssl_certificate_file": "certificate", "ssl_key_file": "bad"}, "TRAPLINE_SSL_KEY_PASSWORD_FILE"),
        ({"ssl_certificate_file": "certificate", "ssl_key_file": "locked"}, "TRAPLINE_SSL_KEY_PASSWORD"),
    ],
)
def test_files_that_hold_something_else(files, words, tmp_path):
    texts = {"bad": "none\n", "key": KEY, "certificate": CERTIFICATE, "locked": CLIENTS["grouper"].key}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    paths = {setting: tmp_path / name for setting, name in files.items()}
    settings = TraplineSettings(security_protocol="ssl", ssl_key_password=SecretStr("horn antena"), **paths)
    with pytest.raises(KafkaException) as caught:
        kafka.admin_client(settings)
    text = str(as_trapline_error(caught.value))
    assert words in text
    assert "antena" not in text
