from pathlib import Path

import pytest

from schemas.errors import SourceError
from schemas.pixel_order import PixelOrder
from schemas.source import FileSource, ServerSource, Source, check_source_name

TRANSPOSED = PixelOrder.TRANSPOSED
GOOD = {
    "sb0=tcp://127.0.0.1:6666": ServerSource("sb0", "127.0.0.1", 6666),
    " sb0 = tcp://127.0.0.1:6666 ": ServerSource("sb0", "127.0.0.1", 6666),
    "sb0=tcp://image-server.lofar:6666/": ServerSource("sb0", "image-server.lofar", 6666),
    "sb0=tcp://host:6666?pixel_order=transposed": ServerSource("sb0", "host", 6666, pixel_order=TRANSPOSED),
    "sb0=tcp://host:6666?pixel_order=fits": ServerSource("sb0", "host", 6666),
    "S-1_b.2=tcp://[::1]:6666": ServerSource("S-1_b.2", "::1", 6666),
    "sb0=file:///data/night.frames": FileSource("sb0", Path("/data/night.frames")),
    "sb0=file:/data/night.frames": FileSource("sb0", Path("/data/night.frames")),
    "sb0=file:///data/sb0/?pixel_order=transposed": FileSource(
        "sb0", Path("/data/sb0"), pixel_order=TRANSPOSED
    ),
    "sb0=file:///a%20night,%231%3f@50%25": FileSource("sb0", Path("/a night,#1?@50%")),
    "sb0=file:///h%C3%A9las": FileSource("sb0", Path("/hélas")),
}


@pytest.mark.parametrize("text", GOOD)
def test_reads(text):
    assert Source.parse(text) == GOOD[text]


@pytest.mark.parametrize("source", GOOD.values(), ids=str)
def test_reads_back(source):
    assert "," not in str(source)  # which separates sources in TRAPLINE_SOURCES
    assert Source.parse(str(source)) == source
    assert Source.from_url(source.name, source.url) == source


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "no '='"),
        ("sb0", "no '='"),
        ("tcp://host:6666", "no '='"),
        ("=tcp://host:6666", "source name ''"),
        ("sb 0=tcp://host:6666", "source name 'sb 0'"),
        ("x" * 65 + "=tcp://host:6666", "source name"),
        ("sb0=", "begins with ''"),
        ("sb0=/data/night.frames", "begins with '', not tcp:// or file://"),
        ("sb0=host:6666", "begins with 'host'"),
        ("sb0=http://host:6666", "begins with 'http'"),
        ("sb0=tcp://host", "no port"),
        ("sb0=tcp://host:0", "no port"),
        ("sb0=tcp://host:65536", "Port out of range"),
        ("sb0=tcp://host:port", "Port could not be cast"),
        ("sb0=tcp://:6666", "no usable host"),
        ("sb0=tcp://a b:6666", "no usable host"),
        ("sb0=tcp://[::1:6666", "Invalid IPv6"),
        ("sb0=tcp://me:secret@host:6666", "more than host, port"),
        ("sb0=tcp://host:6666/path", "more than host, port"),
        ("sb0=tcp://host:6666#x", "more than host, port"),
        ("sb0=tcp://host:6666?pixel_order=square", "pixel_order is 'square', not fits or transposed"),
        ("sb0=tcp://host:6666?pixel_order=", "pixel_order is ''"),
        ("sb0=tcp://host:6666?order=fits", "'order'"),
        ("sb0=tcp://host:6666?pixel_order=fits&pixel_order=fits", "only one pixel_order"),
        ("sb0=file://data/night.frames", "three slashes (in a shell, file://$PWD/"),
        ("sb0=file://./night.frames", "three slashes"),
        ("sb0=file://host/data", "three slashes"),
        ("sb0=file:night.frames", "no absolute path"),
        ("sb0=file://", "no absolute path"),
        ("sb0=file:///data#1", "in a path it is %23"),
        ("sb0=file:///data%FF", "not UTF-8"),
        ("sb0=file:///data%00", "can't be printed"),
        ("sb0=file:///da\nta", "can't be printed"),
        ("sb0=file:///data?follow", "'follow'"),
        ("sb0=file:///data?pixel_order=square", "pixel_order is 'square'"),
    ],
)
def test_the_part_that_is_wrong_is_named(text, part):
    with pytest.raises(SourceError) as error:
        Source.parse(text)
    assert part in str(error.value)


def test_a_password_is_not_repeated():
    with pytest.raises(SourceError) as error:
        Source.parse("sb0=tcp://me:secret@host:6666")
    assert "secret" not in str(error.value)


def test_names():
    assert check_source_name("sb0") == "sb0"
    with pytest.raises(SourceError, match="1 to 64"):
        check_source_name("sb,0")
