"""How a client proves who it is to Kafka, and how it knows that Kafka is Kafka.

The flat settings are narrowed to the one mode they name, at the start; that alone makes a client's
configuration. Secrets come from the environment or from files, are held as SecretStr, and are
part of no message, no repr and no option of a command line (which others can read in the process list).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, Field, SecretStr

Protocol = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
_MECHANISMS = ", ".join(get_args(Mechanism))
Problems = tuple[tuple[tuple[str, ...], str], ...]  # fields concerned, text

_lower = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
_upper = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)


class SecurityKeys(BaseModel):
    """The settings of Kafka's security, flat, as a user writes them."""

    security_protocol: Annotated[Protocol, _lower] = Field(
        default="plaintext", description="Kafka's security protocol."
    )
    ssl_ca_file: Path | None = Field(
        default=None, description="PEM file of the authorities that sign brokers; default: the system's."
    )
    ssl_certificate_file: Path | None = Field(
        default=None, description="PEM file of this client's certificate (mutual TLS)."
    )
    ssl_key_file: Path | None = Field(
        default=None, description="PEM file of the key of this client's certificate."
    )
    ssl_key_password: SecretStr | None = Field(default=None, description="Password of the key file.")
    ssl_key_password_file: Path | None = Field(
        default=None, description="File that holds the password of the key file."
    )
    ssl_verify_hostname: bool = Field(
        default=True, description="Refuse a broker whose certificate is for another host name."
    )
    sasl_mechanism: Annotated[Mechanism | None, _upper] = Field(
        default=None, description="How to log in, with a sasl_ protocol."
    )
    sasl_username: str | None = Field(default=None, description="User name, for PLAIN and SCRAM.")
    sasl_password: SecretStr | None = Field(default=None, description="Password, for PLAIN and SCRAM.")
    sasl_password_file: Path | None = Field(default=None, description="File that holds the password.")
    sasl_oauth_token_url: str | None = Field(
        default=None, description="Token end point of the OpenID Connect provider, for OAUTHBEARER."
    )
    sasl_oauth_client_id: str | None = Field(default=None, description="Client id, for OAUTHBEARER.")
    sasl_oauth_client_secret: SecretStr | None = Field(
        default=None, description="Client secret, for OAUTHBEARER."
    )
    sasl_oauth_client_secret_file: Path | None = Field(
        default=None, description="File that holds the client secret."
    )
    sasl_oauth_scope: str | None = Field(default=None, description="Scope to ask the provider for.")
    sasl_oauth_ca_file: Path | None = Field(
        default=None, description="PEM file of the authorities that sign the provider."
    )


@dataclass(frozen=True, slots=True)
class Tls:
    """An encrypted connection; with a certificate, one that also proves who we are."""

    ca_file: Path | None
    certificate_file: Path | None
    key_file: Path | None
    key_password: SecretStr | None
    verify_hostname: bool

    def client_options(self) -> dict[str, str]:
        """The names librdkafka has for it."""
        options = {"ssl.endpoint.identification.algorithm": "https" if self.verify_hostname else "none"}
        if self.ca_file is not None:
            options["ssl.ca.location"] = str(self.ca_file)
        if self.certificate_file is not None:
            options["ssl.certificate.location"] = str(self.certificate_file)
            options["ssl.key.location"] = str(self.key_file)
        if self.key_password is not None:
            options["ssl.key.password"] = self.key_password.get_secret_value()
        return options


@dataclass(frozen=True, slots=True)
class Password:
    """A login by name and password: PLAIN, or SCRAM, which never sends the password itself."""

    mechanism: Mechanism
    username: str
    password: SecretStr

    def client_options(self) -> dict[str, str]:
        """The names librdkafka has for it."""
        return {
            "sasl.mechanism": self.mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password.get_secret_value(),
        }


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A login with tokens that librdkafka fetches and renews by OpenID Connect's client credentials."""

    token_url: str
    client_id: str
    client_secret: SecretStr
    scope: str | None
    ca_file: Path | None

    def client_options(self) -> dict[str, str]:
        """The names librdkafka has for it."""
        options = {
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": self.token_url,
            "sasl.oauthbearer.client.id": self.client_id,
            "sasl.oauthbearer.client.secret": self.client_secret.get_secret_value(),
        }
        if self.scope is not None:
            options["sasl.oauthbearer.scope"] = self.scope
        if self.ca_file is not None:
            options["https.ca.location"] = str(self.ca_file)
        return options


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """One security mode: a transport and a login, each of which may be absent."""

    protocol: Protocol
    tls: Tls | None
    login: Password | OAuthClient | None

    def client_options(self) -> dict[str, str]:
        """This mode, configured for librdkafka. Holds secrets: never to be printed."""
        options: dict[str, str] = {"security.protocol": self.protocol}
        if self.tls is not None:
            options |= self.tls.client_options()
        if self.login is not None:
            options |= self.login.client_options()
        return options

    def secrets(self) -> Iterator[str]:
        """The texts that no log line may show."""
        held = []
        if self.tls is not None:
            held.append(self.tls.key_password)
        if isinstance(self.login, Password):
            held.append(self.login.password)
        if isinstance(self.login, OAuthClient):
            held.append(self.login.client_secret)
        yield from (secret.get_secret_value() for secret in held if secret is not None)


def narrow_security(keys: SecurityKeys) -> tuple[KafkaSecurity | None, Problems]:
    """The mode that the settings name, and what is wrong with them; None where something is."""
    problems: list[tuple[tuple[str, ...], str]] = []
    problems += _stray(keys)
    tls = _tls(keys, problems) if keys.security_protocol.endswith("ssl") else None
    login = _login(keys, problems) if keys.security_protocol.startswith("sasl_") else None
    if problems:
        return None, tuple(problems)
    return KafkaSecurity(keys.security_protocol, tls, login), ()


def _stray(keys: SecurityKeys) -> Iterator[tuple[tuple[str, ...], str]]:
    """Settings that the protocol leaves unused: nearly always a protocol that was forgotten."""
    for field in SecurityKeys.model_fields:
        given = getattr(keys, field) not in (None, True)
        if not given or field == "security_protocol":
            continue
        if field.startswith("ssl_") and not keys.security_protocol.endswith("ssl"):
            yield (
                (field, "security_protocol"),
                (f"has no effect with security_protocol {keys.security_protocol}; use ssl or sasl_ssl"),
            )
        if field.startswith("sasl_") and not keys.security_protocol.startswith("sasl_"):
            yield (
                (field, "security_protocol"),
                (
                    f"has no effect with security_protocol {keys.security_protocol}; "
                    "use sasl_ssl or sasl_plaintext"
                ),
            )


def _tls(keys: SecurityKeys, problems: list[tuple[tuple[str, ...], str]]) -> Tls:
    for field, path in (
        ("ssl_ca_file", keys.ssl_ca_file),
        ("ssl_certificate_file", keys.ssl_certificate_file),
        ("ssl_key_file", keys.ssl_key_file),
    ):
        _readable(field, path, problems)
    if (keys.ssl_certificate_file is None) != (keys.ssl_key_file is None):
        given, missing = "ssl_certificate_file", "ssl_key_file"
        if keys.ssl_certificate_file is None:
            given, missing = missing, given
        problems.append(
            ((missing, given), f"is needed with {given}: a certificate is of no use without its key")
        )
    return Tls(
        keys.ssl_ca_file,
        keys.ssl_certificate_file,
        keys.ssl_key_file,
        _secret(keys, "ssl_key_password", problems),
        keys.ssl_verify_hostname,
    )


def _login(keys: SecurityKeys, problems: list[tuple[tuple[str, ...], str]]) -> Password | OAuthClient | None:
    if keys.sasl_mechanism is None:
        problems.append(
            (
                ("sasl_mechanism", "security_protocol"),
                f"is needed with security_protocol {keys.security_protocol}; one of {_MECHANISMS}",
            )
        )
        return None
    before = len(problems)
    if keys.sasl_mechanism == "OAUTHBEARER":
        _readable("sasl_oauth_ca_file", keys.sasl_oauth_ca_file, problems)
        token_url = _needed(keys, "sasl_oauth_token_url", problems)
        client_id = _needed(keys, "sasl_oauth_client_id", problems)
        secret = _secret(keys, "sasl_oauth_client_secret", problems, needed=True)
        if len(problems) > before or secret is None:
            return None
        return OAuthClient(token_url, client_id, secret, keys.sasl_oauth_scope, keys.sasl_oauth_ca_file)
    username = _needed(keys, "sasl_username", problems)
    password = _secret(keys, "sasl_password", problems, needed=True)
    if len(problems) > before or password is None:
        return None
    return Password(keys.sasl_mechanism, username, password)


def _needed(keys: SecurityKeys, field: str, problems: list[tuple[tuple[str, ...], str]]) -> str:
    value = getattr(keys, field)
    if not value:
        problems.append(((field, "sasl_mechanism"), f"is needed with sasl_mechanism {keys.sasl_mechanism}"))
    return str(value or "")


def _secret(
    keys: SecurityKeys, field: str, problems: list[tuple[tuple[str, ...], str]], *, needed: bool = False
) -> SecretStr | None:
    """A secret given in place or in a file; the file's last line break is not part of it."""
    secret: SecretStr | None = getattr(keys, field)
    path: Path | None = getattr(keys, f"{field}_file")
    if secret is not None and path is not None:
        problems.append(((field, f"{field}_file"), f"is given twice: here and in {field}_file"))
        return None
    if path is not None:
        text = _readable(f"{field}_file", path, problems)
        if text == "":
            problems.append(((f"{field}_file",), f"{path} is empty"))
        return SecretStr(text) if text else None
    if needed and (secret is None or not secret.get_secret_value()):
        problems.append(
            (
                (field, f"{field}_file", "sasl_mechanism"),
                f"is needed with sasl_mechanism {keys.sasl_mechanism}; or {field}_file",
            )
        )
        return None
    return secret


def _readable(field: str, path: Path | None, problems: list[tuple[tuple[str, ...], str]]) -> str | None:
    """The text of a file, without the line break at its end; None, with a problem, where it can't be read."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        problems.append(((field,), f"{path} can't be read: {reason}"))
        return None
