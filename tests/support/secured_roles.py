"""The roles on a Kafka that lets nobody do anything unasked: their logins, their secrets, their rights."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from runtime.acls import Acl, Operation, Role, acls
from runtime.kafka import KafkaAdmin, admin_client
from runtime.settings import TraplineSettings
from tests.support import rights
from tests.support.client_certificates import CLIENTS
from tests.support.secured_kafka import SecuredKafka
from tests.support.waiting import timeout_s

Way = Literal["scram", "mtls"]
Keeping = Literal["file", "environment"]


def password_of(role: Role) -> str:
    """Of its SCRAM user; a text that appears nowhere by chance."""
    return f"horn antenna {role} 92e1"


def principal(role: Role, way: Way) -> str:
    """Who Kafka takes it for."""
    return f"User:{role}" if way == "scram" else f"User:CN={role}"


def secrets() -> tuple[str, ...]:
    """All texts that nothing may show: passwords, and lines of the key files."""
    keys = [line for client in CLIENTS.values() for line in client.key.splitlines() if "-----" not in line]
    return (*map(password_of, Role), *(client.password for client in CLIENTS.values()), *keys)


@dataclass(frozen=True)
class SecuredRoles:
    """A broker with an authorizer, and what each role needs to log in to it."""

    kafka: SecuredKafka
    folder: Path
    admin: KafkaAdmin

    @classmethod
    def make(cls, kafka: SecuredKafka) -> "SecuredRoles":
        """Make the users; they have no rights yet."""
        admin = admin_client(TraplineSettings(bootstrap_servers=kafka.bootstrap_servers))
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        users = [UserScramCredentialUpsertion(role.value, info, password_of(role).encode()) for role in Role]
        for future in admin.alter_user_scram_credentials(users).values():
            future.result(timeout_s(30))
        folder = kafka.data.parent / "secrets"
        folder.mkdir()
        for role in Role:
            CLIENTS[role].write(folder)
            (folder / f"{role}.password").write_text(password_of(role) + "\n")
            (folder / f"{role}.key-password").write_text(CLIENTS[role].password + "\n")
        return cls(kafka, folder, admin)

    def settings(self, role: Role, way: Way, keeping: Keeping = "file") -> dict[str, str]:
        """Where Kafka is and how the role logs in, by the names of the settings."""
        if way == "scram":
            own = {
                "bootstrap_servers": self.kafka.sasl_tls,
                "security_protocol": "sasl_ssl",
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_username": role.value,
            }
            secret, text, file = "sasl_password", password_of(role), self.folder / f"{role}.password"
        else:
            own = {
                "bootstrap_servers": self.kafka.mtls,
                "security_protocol": "ssl",
                "ssl_certificate_file": str(self.folder / f"{role}.pem"),
                "ssl_key_file": str(self.folder / f"{role}.key"),
            }
            secret, text = "ssl_key_password", CLIENTS[role].password
            file = self.folder / f"{role}.key-password"
        own["ssl_ca_file"] = str(self.kafka.certificate_file)
        return own | ({f"{secret}_file": str(file)} if keeping == "file" else {secret: text})

    def rights(self, prefix: str, way: Way) -> dict[tuple[Role, Acl, Operation], rights.AclBinding]:
        """Every line of the table under a prefix, an operation each."""
        return {
            (role, acl, operation): rights.binding(acl, operation, principal(role, way))
            for role in Role
            for acl in acls(role, prefix)
            for operation in acl.operations
        }

    def grant(self, prefix: str, way: Way) -> None:
        """Give every role what the table says, and nothing else."""
        rights.grant(self.admin, set(self.rights(prefix, way).values()))

    def forget(self) -> None:
        """Remove the secrets' files."""
        shutil.rmtree(self.folder)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings as variables."""
    return {f"TRAPLINE_{name.upper()}": value for name, value in settings.items()}


def lines_of_table() -> Iterator[tuple[Role, int, Operation]]:
    """Role, number of its right, operation: the table without names, for parametrised tests."""
    for role in Role:
        for number, acl in enumerate(acls(role, "x")):
            for operation in acl.operations:
                yield role, number, operation
