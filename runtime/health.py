"""/livez, /readyz and /metrics, on a thread of their own."""

import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from runtime.errors import SettingProblem, SettingsError
from runtime.logs import get_logger

log = get_logger(__name__)

Check = Callable[[], str | None]
"""None: all is well; else why not."""


class Heartbeat:
    """Tells whether a loop still turns.

    It does not look at Kafka: a broker that is away is no reason to be restarted.
    """

    def __init__(self, max_age_s: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Count as beaten now.

        Args:
            max_age_s: seconds without a beat after which the loop counts as stuck.
            clock: seconds that never go back.
        """
        self._max_age_s = max_age_s
        self._clock = clock
        self._beaten_s = clock()

    def beat(self) -> None:
        """The loop has turned."""
        self._beaten_s = self._clock()

    def problem(self) -> str | None:
        """Why the loop counts as stuck; None while it turns."""
        age_s = self._clock() - self._beaten_s
        if age_s <= self._max_age_s:
            return None
        return f"the main loop has not turned for {age_s:.0f} s (at most {self._max_age_s:.0f} s)"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a scraper that hangs does not hold up our end


class _QuietRequest(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the base class's
        log.debug("http", request=format % args)


class HealthServer:
    """Serves /livez, /readyz and /metrics while it is entered."""

    def __init__(self, host: str, port: int, *, live: Check, ready: Check) -> None:
        """Listen; requests are answered once it is entered.

        Args:
            host: address to listen on.
            port: port to listen on; 0: a free one, see `port`.
            live: why the process should be restarted, if it should.
            ready: why the process does no useful work at present, if so.

        Raises:
            SettingsError: the address can't be listened on.
        """
        self._checks = {"/livez": live, "/readyz": ready}
        self._metrics = make_wsgi_app()
        try:
            self._server = make_server(host, port, self._answer, _Server, _QuietRequest)
        except OSError as error:
            raise SettingsError(
                [SettingProblem("http_port", f"can't listen on {host}:{port}: {error.strerror or error}")]
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    def __enter__(self) -> Self:
        self._thread.start()
        log.info("health and metrics are served", port=self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        status, text = "404 Not Found", "there are /livez, /readyz and /metrics"
        if path in self._checks:
            problem = self._checks[path]()
            status, text = ("200 OK", "ok") if problem is None else ("503 Service Unavailable", problem)
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{text}\n".encode()]
