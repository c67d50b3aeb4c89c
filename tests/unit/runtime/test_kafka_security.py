import pytest
from pydantic import SecretStr

from runtime.kafka_security import SecurityKeys, narrow_security


@pytest.fixture
def pem(tmp_path):
    def make(name):
        path = tmp_path / name
        path.write_text(f"{name}\n")
        return path

    return make


def options(**given):
    security, problems = narrow_security(SecurityKeys(**given))
    assert problems == ()
    assert security is not None
    return security.client_options()


def problems(**given):
    security, found = narrow_security(SecurityKeys(**given))
    assert security is None
    return {fields[0]: text for fields, text in found}


def test_plaintext_is_the_default():
    assert options() == {"security.protocol": "plaintext"}


def test_tls(pem):
    assert options(security_protocol="SSL", ssl_ca_file=pem("ca"), ssl_verify_hostname=False) == {
        "security.protocol": "ssl",
        "ssl.ca.location": str(pem("ca")),
        "ssl.endpoint.identification.algorithm": "none",
    }


def test_mutual_tls(pem):
    assert options(
        security_protocol="ssl",
        ssl_certificate_file=pem("certificate"),
        ssl_key_file=pem("key"),
        ssl_key_password_file=pem("secret"),
    ) == {
        "security.protocol": "ssl",
        "ssl.endpoint.identification.algorithm": "https",
        "ssl.certificate.location": str(pem("certificate")),
        "ssl.key.location": str(pem("key")),
        "ssl.key.password": "secret",
    }


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_password(mechanism, pem):
    assert options(
        security_protocol="sasl_plaintext",
        sasl_mechanism=mechanism.lower(),
        sasl_username="me",
        sasl_password_file=pem("secret"),
    ) == {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": mechanism,
        "sasl.username": "me",
        "sasl.password": "secret",
    }


def test_oauth(pem):
    given = {
        "security_protocol": "sasl_ssl",
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauth_token_url": "https://login.example/token",
        "sasl_oauth_client_id": "trapline",
        "sasl_oauth_client_secret": "secret",
        "sasl_oauth_scope": "kafka",
        "sasl_oauth_ca_file": pem("ca"),
    }
    assert options(**given) == {
        "security.protocol": "sasl_ssl",
        "ssl.endpoint.identification.algorithm": "https",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": "https://login.example/token",
        "sasl.oauthbearer.client.id": "trapline",
        "sasl.oauthbearer.client.secret": "secret",
        "sasl.oauthbearer.scope": "kafka",
        "https.ca.location": str(pem("ca")),
    }


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"sasl_username": "me"}, {"sasl_username": "has no effect with security_protocol plaintext"}),
        ({"ssl_ca_file": "ca"}, {"ssl_ca_file": "has no effect"}),
        ({"security_protocol": "sasl_ssl"}, {"sasl_mechanism": "is needed"}),
        (
            {"security_protocol": "sasl_ssl", "sasl_mechanism": "PLAIN"},
            {"sasl_username": "is needed with sasl_mechanism PLAIN", "sasl_password": "sasl_password_file"},
        ),
        (
            {"security_protocol": "sasl_ssl", "sasl_mechanism": "OAUTHBEARER"},
            {
                "sasl_oauth_token_url": "is needed",
                "sasl_oauth_client_id": "is needed",
                "sasl_oauth_client_secret": "is needed",
            },
        ),
        (
            {"security_protocol": "ssl", "ssl_certificate_file": __file__},
            {"ssl_key_file": "is needed with ssl_certificate_file"},
        ),
        (
            {"security_protocol": "ssl", "ssl_key_file": __file__},
            {"ssl_certificate_file": "is needed with ssl_key_file"},
        ),
        ({"security_protocol": "ssl", "ssl_ca_file": "gone.pem"}, {"ssl_ca_file": "gone.pem can't be read"}),
        (
            {
                "security_protocol": "sasl_plaintext",
                "sasl_mechanism": "PLAIN",
                "sasl_username": "me",
                "sasl_password_file": "gone",
            },
            {"sasl_password_file": "gone can't be read"},
        ),
        (
            {
                "security_protocol": "sasl_plaintext",
                "sasl_mechanism": "PLAIN",
                "sasl_username": "me",
                "sasl_password": "a",
                "sasl_password_file": "b",
            },
            {"sasl_password": "given twice"},
        ),
    ],
)
def test_settings_that_do_not_fit_together(given, found):
    there = problems(**given)
    assert there.keys() == found.keys()
    for field, words in found.items():
        assert words in there[field]


def test_an_empty_secret_file(tmp_path):
    (tmp_path / "empty").touch()
    assert (
        "is empty"
        in problems(
            security_protocol="sasl_plaintext",
            sasl_mechanism="PLAIN",
            sasl_username="me",
            sasl_password_file=tmp_path / "empty",
        )["sasl_password_file"]
    )


def test_secrets_are_not_in_the_repr(pem):
    keys = SecurityKeys(
        security_protocol="sasl_ssl",
        sasl_mechanism="PLAIN",
        sasl_username="me",
        sasl_password=SecretStr("hunter2"),
        ssl_certificate_file=pem("certificate"),
        ssl_key_file=pem("key"),
        ssl_key_password=SecretStr("hunter3"),
    )
    security, _ = narrow_security(keys)
    assert security is not None
    assert "hunter" not in f"{keys!r} {keys} {security!r} {security}"
    assert sorted(security.secrets()) == ["hunter2", "hunter3"]
