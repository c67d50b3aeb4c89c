"""Prometheus metrics that every process has. Each room's own stand in the room."""

import platform
from importlib.metadata import version

import confluent_kafka
from prometheus_client import Gauge

BUILD_INFO = Gauge(
    "trapline_build_info", "Always 1; the labels say what runs.", ["room", "version", "python", "librdkafka"]
)


def show_build_info(room: str) -> None:
    """Have /metrics say which process this is, and of which version."""
    BUILD_INFO.labels(
        room=room,
        version=version("trapline"),
        python=platform.python_version(),
        librdkafka=confluent_kafka.libversion()[0],
    ).set(1)
