"""What runs around a service: its memory, its metrics, its health end points, its signals."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from runtime.allocator import keep_freed_memory
from runtime.health import Check, HealthServer
from runtime.metrics import show_build_info
from runtime.settings import ProcessSettings
from runtime.shutdown import Shutdown


@contextmanager
def running(room: str, settings: ProcessSettings, *, live: Check, ready: Check) -> Iterator[Shutdown]:
    """Serve health and metrics, where a port is set, and listen to signals, while the service runs.

    Args:
        room: the name of the process.
        settings: its settings.
        live: why the process should be restarted, if it should.
        ready: why it does no useful work at present, if so.

    Raises:
        SettingsError: the health port can't be listened on.
    """
    keep_freed_memory()
    show_build_info(room)
    with ExitStack() as stack:
        shutdown = stack.enter_context(Shutdown())
        if settings.http_port is not None:
            stack.enter_context(HealthServer(settings.http_host, settings.http_port, live=live, ready=ready))
        yield shutdown
