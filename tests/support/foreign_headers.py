"""Records with header names that are no UTF-8: Kafka takes any bytes, the Python client only text.

So librdkafka itself is asked, through ctypes: the shared library that the Python client has loaded.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import confluent_kafka

from tests.support.waiting import timeout_s

_PRODUCER: Final = 0  # RD_KAFKA_PRODUCER
_MSG_F_COPY: Final = 0x2
_NO_ERROR: Final = 0
# rd_kafka_vtype_t of rdkafka.h: what the next argument of rd_kafka_producev is.
_END, _TOPIC, _VALUE, _KEY, _MSGFLAGS, _HEADERS = 0, 1, 4, 5, 7, 10


def put_with_headers(
    bootstrap_servers: str, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> None:
    """Put one record into a topic and wait until the broker has it; names are bytes."""
    library = _library()
    error = ctypes.create_string_buffer(512)
    conf = library.rd_kafka_conf_new()
    for name, setting in (
        (b"bootstrap.servers", bootstrap_servers.encode()),
        (b"partitioner", b"murmur2_random"),
    ):
        assert library.rd_kafka_conf_set(conf, name, setting, error, len(error)) == _NO_ERROR, error.value
    producer = library.rd_kafka_new(_PRODUCER, conf, error, len(error))
    assert producer, error.value
    try:
        made = library.rd_kafka_headers_new(len(headers))
        for name, content in headers:
            library.rd_kafka_header_add(made, name, len(name), content, len(content))
        number = ctypes.c_int
        answer = library.rd_kafka_producev(
            ctypes.c_void_p(producer),
            *(number(_TOPIC), ctypes.c_char_p(topic.encode())),
            *(number(_MSGFLAGS), number(_MSG_F_COPY)),
            *(number(_KEY), ctypes.c_char_p(key), ctypes.c_size_t(len(key))),
            *(number(_VALUE), ctypes.c_char_p(value), ctypes.c_size_t(len(value))),
            *(number(_HEADERS), ctypes.c_void_p(made)),
            number(_END),
        )
        assert answer == _NO_ERROR, answer
        assert library.rd_kafka_flush(producer, round(1000 * timeout_s(30))) == _NO_ERROR
    finally:
        library.rd_kafka_destroy(producer)


def _library() -> ctypes.CDLL:
    packages = Path(confluent_kafka.__file__).parent.parent
    (path,) = (packages / "confluent_kafka.libs").glob("librdkafka-*.so*")
    library = ctypes.CDLL(str(path))
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_conf_set", ctypes.c_int, [pointer, text, text, text, size]),
        ("rd_kafka_new", pointer, [ctypes.c_int, pointer, text, size]),
        ("rd_kafka_headers_new", pointer, [size]),
        ("rd_kafka_header_add", ctypes.c_int, [pointer, text, ctypes.c_ssize_t, text, ctypes.c_ssize_t]),
        ("rd_kafka_flush", ctypes.c_int, [pointer, ctypes.c_int]),
        ("rd_kafka_destroy", None, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.rd_kafka_producev.restype = ctypes.c_int
    return library
