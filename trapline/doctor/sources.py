"""Checks each source: reachable, and speaking the protocol. Read as the connector reads, for one frame."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from connector.connection import connect
from connector.errors import FileSourceError
from connector.frame_files import begins_with_frame, find_frame_files, open_frame_file
from schemas.errors import ResyncError, SchemaError
from schemas.frame import Frame, FrameDecoder, Skipped
from schemas.source import FileSource, ServerSource, Source
from schemas.timestamp import format_timestamp
from schemas.window import decode_window
from trapline.doctor.outcome import Outcome, Problem, failure, not_done, of_error, warning
from trapline.doctor.settings import DoctorSettings
from trapline.tables import bytes_text

_AT_A_TIME: Final = 16
_TICK_S: Final = 0.2
_SEE_FILES: Final = "is the path right, does it hold frames, and may this user read them?"
_FILE_READ_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Found:
    text: str
    problems: tuple[Problem, ...] = ()


def sources(settings: DoctorSettings, wait_s: float) -> Outcome:
    """A frame of each source.

    Args:
        settings: which sources, and how large a frame may be.
        wait_s: how long a server may take to send one whole frame.
    """
    if not settings.sources:
        return not_done("no source is configured here: TRAPLINE_SOURCES, or --source NAME=tcp://HOST:PORT")
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        found = list(pool.map(partial(_source, settings, wait_s), settings.sources))
    return Outcome(
        "; ".join(
            f"{source.name}: {each.text}" for source, each in zip(settings.sources, found, strict=True)
        ),
        tuple(problem for each in found for problem in each.problems),
    )


def _source(settings: DoctorSettings, wait_s: float, source: Source) -> _Found:
    if isinstance(source, ServerSource):
        return _server(settings, wait_s, source)
    if isinstance(source, FileSource):
        return _file(settings, source)
    raise TypeError(f"{source} is a source of a kind that is not known here")


def _server(settings: DoctorSettings, wait_s: float, source: ServerSource) -> _Found:
    try:
        connection = connect(source, timeout_s=settings.connect_timeout_s, tick_s=_TICK_S)
    except OSError as error:
        return _Found(
            "not reachable",
            (
                failure(
                    f"{source.name}: can't connect to {source.url}: {error.strerror or error}",
                    "is the image server running, are host and port right, is a firewall between?",
                ),
            ),
        )
    decoder = FrameDecoder(settings.frame_limits)
    deadline_s = time.monotonic() + wait_s
    read_bytes = 0
    with connection:
        try:
            while time.monotonic() < deadline_s:
                try:
                    size = connection.recv_into(decoder.get_buffer())
                except BlockingIOError:  # a tick without a byte
                    continue
                if size == 0:
                    break
                read_bytes += size
                decoder.received(size)
                event = decoder.next_event()
                if event is not None:
                    return _judge(settings, source, event)
        except ResyncError as error:
            return _garbage(source, str(error))
        except OSError as error:
            return _Found(
                "broken off",
                (
                    failure(
                        f"{source.name}: the connection broke off: {error.strerror or error}",
                        "look into the log of the image server: did it end, or does it take one client "
                        "alone? A connector connects again by itself",
                    ),
                ),
            )
    return _no_frame(source, decoder, read_bytes, wait_s)


def _no_frame(source: ServerSource, decoder: FrameDecoder, read_bytes: int, wait_s: float) -> _Found:
    if not read_bytes:
        return _Found(
            "connected, silent",
            (
                warning(
                    f"{source.name}: connected, and not a byte came in {wait_s:g} s",
                    "is it observing? A server may be silent between observations; --source-wait waits "
                    "longer",
                ),
            ),
        )
    event = decoder.close()
    if isinstance(event, Skipped) and not decoder.in_frame and read_bytes < event.total_bytes:
        return _garbage(source, event.detail)
    return _Found(
        "no whole frame",
        (
            failure(
                f"{source.name}: {bytes_text(read_bytes)} came in {wait_s:g} s, and no whole frame"
                + (f": {event.detail}" if isinstance(event, Skipped) else ""),
                "is it an image server of the AARTFAAC protocol? On a slow line --source-wait waits longer",
            ),
        ),
    )


def _garbage(source: Source, detail: str) -> _Found:
    return _Found(
        "no frame",
        (
            failure(
                f"{source.name}: what it sends is no frame: {detail}",
                "is it an image server of the AARTFAAC protocol, is the port right, is max_frame_bytes large "
                "enough? The connector puts such bytes into rejects",
            ),
        ),
    )


def _file(settings: DoctorSettings, source: FileSource) -> _Found:
    try:
        files = find_frame_files(source)
        with open_frame_file(files.files[0]) as file:
            if not begins_with_frame(file):
                return _garbage(source, f"{files.files[0].name} does not begin with a frame's magic")
            decoder = FrameDecoder(settings.frame_limits)
            while data := file.read(_FILE_READ_BYTES):
                decoder.feed(data)
                event = decoder.next_event()
                if event is not None:
                    return _judge(settings, source, event)
    except (FileSourceError, ResyncError) as error:
        return _Found("not readable", (of_error(error, _SEE_FILES),))
    except OSError as error:
        return _Found("not readable", (failure(f"{source.name}: {error.strerror or error}", _SEE_FILES),))
    return _garbage(source, "the first file ends within its first frame")


def _judge(settings: DoctorSettings, source: Source, event: Frame | Skipped) -> _Found:
    """What the first thing is that came."""
    if isinstance(event, Skipped):
        return _garbage(source, event.detail)
    try:
        window = decode_window(event.data, source.pixel_order)
    except SchemaError as error:
        return _Found(
            "unusable frame",
            (
                failure(
                    f"{source.name}: its frame can't be used: {error}",
                    "mend it at the image server; until then such frames go to rejects",
                ),
            ),
        )
    shape = " x ".join(str(length) for length in window.shape)
    text = (
        f"{format_timestamp(window.timestamp_us)}, {shape}, {window.frequency_hz / 1e6:.3f} MHz, "
        f"{bytes_text(len(event.data))}"
    )
    ahead_s = window.timestamp_us / 1e6 - time.time()
    if ahead_s > settings.max_future_s:
        return _Found(
            text,
            (
                failure(
                    f"{source.name}: DATE-OBS is {ahead_s:.0f} s ahead of this machine's clock, and frames "
                    "more "
                    f"than {settings.max_future_s:g} s ahead are rejected",
                    "look at the clocks of the image server and of this machine",
                ),
            ),
        )
    return _Found(text)
