"""What a kubelet answers when the API server asks it for a pod's log: `kubectl logs`, and helm's own look."""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from tests.support.certificate import CERTIFICATE, KEY
from trapline.embedded.ports import HOST

_PARTS: Final = 4  # containerLogs, namespace, pod, container


class PodLogs:
    """A server of logs on a free port.

    Args:
        folder: for its certificate.
        find: namespace and pod -> the newest log, or None.
    """

    def __init__(self, folder: Path, find: Callable[[str, str], Path | None]) -> None:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path).path.strip("/").split("/")
                log = (
                    find(parts[1], parts[2]) if len(parts) == _PARTS and parts[0] == "containerLogs" else None
                )
                content = log.read_bytes() if log is not None else b"no such log\n"
                self.send_response(200 if log is not None else 404)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_told: object) -> None:
                """Nobody wants to know."""

        certificate = folder / "logs.pem"
        certificate.write_text(CERTIFICATE + KEY)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        self._server = ThreadingHTTPServer((HOST, 0), Answer)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, name="pod-logs", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
