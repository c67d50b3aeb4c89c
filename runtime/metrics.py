"""Prometheus metrics that every process has. Each room's own stand in the room."""

import platform
from importlib.metadata import version

from prometheus_client import Gauge

BUILD_INFO = Gauge(
    "trapline_build_info",
    "Always 1; the labels say what runs.",
    ["room", "version", "python", "confluent_kafka"],
)


def show_build_info(room: str) -> None:
    """Have /metrics say which process this is, and of which version."""
    BUILD_INFO.labels(
        room=room,
        version=version("trapline"),
        python=platform.python_version(),
        confluent_kafka=version("confluent-kafka"),
    ).set(1)
