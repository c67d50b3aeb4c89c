"""Each security mode against a Kafka that insists on it, right and wrong."""

import pytest
from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from pydantic import SecretStr

from runtime import kafka as clients
from runtime.errors import KafkaUnavailableError
from runtime.settings import TraplineSettings
from tests.support.secured_kafka import secured_kafka, token_server
from tests.support.waiting import timeout_s
from trapline import cli

PASSWORD = "horn antenna"  # noqa: S105  of the test's own broker


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    with secured_kafka(tmp_path_factory.mktemp("secured-kafka")) as kafka:
        admin = clients.admin_client(TraplineSettings(bootstrap_servers=kafka.bootstrap_servers))
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        user = UserScramCredentialUpsertion("telescope", info, PASSWORD.encode())
        for future in admin.alter_user_scram_credentials([user]).values():
            future.result(timeout_s(30))
        yield kafka


@pytest.fixture(scope="module")
def token_url():
    with token_server() as url:
        yield url


def reach(settings):
    clients.require_kafka(clients.admin_client(settings), timeout_s(5))


def password_login(secured, mechanism, password):
    return TraplineSettings(
        bootstrap_servers=secured.sasl,
        security_protocol="sasl_plaintext",
        sasl_mechanism=mechanism,
        sasl_username="telescope",
        sasl_password=SecretStr(password),
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_password(secured, mechanism):
    reach(password_login(secured, mechanism, PASSWORD))
    with pytest.raises(KafkaUnavailableError, match=r"login to Kafka failed .*TRAPLINE_SASL_") as caught:
        reach(password_login(secured, mechanism, "horn antena"))
    assert "antena" not in str(caught.value)


def test_a_mechanism_that_kafka_does_not_offer(secured):
    with pytest.raises(KafkaUnavailableError, match="login to Kafka failed"):
        reach(password_login(secured, "SCRAM-SHA-256", PASSWORD))


def oauth_login(secured, token_url, secret):
    return TraplineSettings(
        bootstrap_servers=secured.sasl,
        security_protocol="sasl_plaintext",
        sasl_mechanism="OAUTHBEARER",
        sasl_oauth_token_url=token_url,
        sasl_oauth_client_id="trapline",
        sasl_oauth_client_secret=SecretStr(secret),
    )


def test_oauth(secured, token_url):
    reach(oauth_login(secured, token_url, PASSWORD))
    with pytest.raises(
        KafkaUnavailableError, match=r"Failed to acquire SASL OAUTHBEARER token.*OAuth client"
    ):
        reach(oauth_login(secured, token_url, "horn antena"))


def test_mutual_tls(secured):
    settings = TraplineSettings(
        bootstrap_servers=secured.mtls,
        security_protocol="ssl",
        ssl_ca_file=secured.certificate_file,
        ssl_certificate_file=secured.certificate_file,
        ssl_key_file=secured.key_file,
    )
    reach(settings)


def test_a_broker_that_nobody_we_know_has_signed(secured):
    settings = TraplineSettings(bootstrap_servers=secured.mtls, security_protocol="ssl")
    with pytest.raises(KafkaUnavailableError, match="TRAPLINE_SSL_CA_FILE"):
        reach(settings)


def test_no_certificate_where_one_is_wanted(secured):
    settings = TraplineSettings(
        bootstrap_servers=secured.mtls, security_protocol="ssl", ssl_ca_file=secured.certificate_file
    )
    with pytest.raises(KafkaUnavailableError, match=r"certificate required.*this client's certificate"):
        reach(settings)


def test_a_client_that_offers_nothing_is_told_of_the_protocol(secured):
    for address in (secured.sasl, secured.mtls):
        with pytest.raises(KafkaUnavailableError, match="TRAPLINE_SECURITY_PROTOCOL"):
            clients.require_kafka(
                clients.admin_client(TraplineSettings(bootstrap_servers=address)), timeout_s=3
            )


def test_wrong_credentials_on_the_command_line(secured, capsys, monkeypatch, tmp_path):
    password_file = tmp_path / "password"
    password_file.write_text("horn antena\n")
    monkeypatch.setenv("TRAPLINE_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("TRAPLINE_SASL_MECHANISM", "PLAIN")
    monkeypatch.setenv("TRAPLINE_SASL_USERNAME", "telescope")
    monkeypatch.setenv("TRAPLINE_SASL_PASSWORD_FILE", str(password_file))
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", secured.sasl)
    assert cli.run(["topics", "check"]) == 1
    captured = capsys.readouterr()
    last = captured.err.splitlines()[-1]
    assert last.startswith("trapline: error: the login to Kafka failed")
    assert "antena" not in captured.err + captured.out
