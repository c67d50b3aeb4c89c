"""An embedded Kafka with listeners that want a login or a certificate, beside the open one."""

import base64
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from tests.support.certificate import CERTIFICATE, KEY
from tests.support.waiting import timeout_s
from trapline.embedded.data_folder import Cluster, DataFolder
from trapline.embedded.kafka import EmbeddedKafka
from trapline.embedded.ports import HOST, free_port

_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required"
_OAUTH = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"


class SecuredKafka(EmbeddedKafka):
    """Listens on `sasl` (SASL without TLS), `sasl_tls` (SASL over TLS) and `mtls` (client certificates) too.

    User `telescope` has the password `horn antenna`; SCRAM users are made through the open listener.

    With `authorizer`, nobody may do anything without an ACL but those who come through the open listener:
    the test, as administrator, and the broker itself.
    """

    def __init__(self, data: Path, *, authorizer: bool = False) -> None:
        super().__init__(data, start_archive=False)
        self._authorizer = authorizer
        self.sasl = f"{HOST}:{free_port()}"
        self.sasl_tls = f"{HOST}:{free_port()}"
        self.mtls = f"{HOST}:{free_port()}"
        self.certificate_file = data.parent / "certificate.pem"
        self.key_file = data.parent / "key.pem"
        self.certificate_file.write_text(CERTIFICATE)
        self.key_file.write_text(KEY)

    def _write_properties(self, cluster: Cluster, folder: DataFolder) -> None:
        super()._write_properties(cluster, folder)
        keystore = folder.path / "keystore.pem"
        keystore.write_text(KEY + CERTIFICATE)
        file = self._node_folder() / "server.properties"
        lines = dict(line.split("=", 1) for line in file.read_text().splitlines())
        for listeners in ("listeners", "advertised.listeners"):
            lines[listeners] += f",SECURED://{self.sasl},SCRAM://{self.sasl_tls},MUTUAL://{self.mtls}"
        lines["listener.security.protocol.map"] += ",SECURED:SASL_PLAINTEXT,SCRAM:SASL_SSL,MUTUAL:SSL"
        lines |= {
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
            "listener.name.secured.plain.sasl.jaas.config": f'{_PLAIN} user_telescope="horn antenna";',
            "listener.name.secured.scram-sha-512.sasl.jaas.config": f"{_SCRAM};",
            # Kafka's default for tests: it takes tokens that nobody signed.
            "listener.name.secured.oauthbearer.sasl.jaas.config": (
                f'{_OAUTH} unsecuredLoginStringClaim_sub="broker";'
            ),
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.scram.scram-sha-512.sasl.jaas.config": f"{_SCRAM};",
            "listener.name.scram.ssl.keystore.type": "PEM",
            "listener.name.scram.ssl.keystore.location": str(keystore),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.mutual.ssl.keystore.type": "PEM",
            "listener.name.mutual.ssl.keystore.location": str(keystore),
            "listener.name.mutual.ssl.truststore.type": "PEM",
            "listener.name.mutual.ssl.truststore.location": str(self.certificate_file),
        }
        if self._authorizer:
            lines |= {
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "allow.everyone.if.no.acl.found": "false",
                "super.users": "User:ANONYMOUS",  # who comes through the open listener
            }
        file.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))


@contextmanager
def secured_kafka(folder: Path, *, authorizer: bool = False) -> Iterator[SecuredKafka]:
    """One that runs; it ends with the context."""
    kafka = SecuredKafka(folder / "data", authorizer=authorizer)
    try:
        kafka.start(timeout_s(60))
        yield kafka
    finally:
        kafka.kill()
        shutil.rmtree(folder / "data", ignore_errors=True)


class _TokenRequest(BaseHTTPRequestHandler):
    """OpenID Connect's client credentials: one client, one secret, tokens without a signature."""

    def do_POST(self) -> None:
        login = base64.b64encode(b"trapline:horn antenna").decode()
        if self.headers["Authorization"] != f"Basic {login}":
            self._answer(401, {"error": "invalid_client"})
            return
        now_s = int(time.time())
        claims = {"sub": "trapline", "iat": now_s, "exp": now_s + 3600, "scope": "kafka"}
        token = f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{_encoded(claims)}."
        self._answer(200, {"access_token": token, "token_type": "bearer", "expires_in": 3600})

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Nothing to see."""


def _encoded(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@contextmanager
def token_server() -> Iterator[str]:
    """The URL of an end point that gives tokens to client `trapline` with secret `horn antenna`."""
    with HTTPServer((HOST, 0), _TokenRequest) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}/token"
        finally:
            server.shutdown()
            thread.join()
