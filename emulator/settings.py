"""The emulator's settings: names begin with `emulator_`; on the command line they do without it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from emulator.camera import ImageSize
from emulator.errors import MisbehaviourError
from emulator.misbehaviour import Misbehaviour
from emulator.pacing import MICROSECONDS, Pace
from runtime.settings import CommandLine, CrossProblem, ProcessSettings
from schemas.errors import SchemaError
from schemas.pixel_order import PixelOrder
from schemas.timestamp import parse_date_obs

DEFAULT_SOURCES = 6


def _image_size(value: object) -> object:
    """'1024', '1024x768' (NAXIS1 x NAXIS2) or a number."""
    if isinstance(value, ImageSize):
        return value
    columns, separator, rows = str(value).lower().partition("x")
    try:
        size = ImageSize(int(columns), int(rows if separator else columns))
    except ValueError:
        raise ValueError(
            f"{value!r} is no image size; it is NAXIS1xNAXIS2, e.g. 1024x768, or one number"
        ) from None
    if min(size.naxis1, size.naxis2) < 1 or 4 * size.pixels >= 2**32:
        raise ValueError(f"{value!r}: an image has 1 to 2**30 - 1 pixels")
    return size


def _rate(value: object) -> object:
    """Steps a second; 'max' is None."""
    return None if isinstance(value, str) and value.strip().lower() == "max" else value


def _timestamp(value: object) -> object:
    """ISO 8601 as microseconds since 1970 UTC."""
    if not isinstance(value, str):
        return value
    try:
        return parse_date_obs(value)
    except SchemaError as error:
        raise ValueError(f"{error}; it is ISO 8601, e.g. 2026-11-23T10:00:00") from error


def _misbehaviours(value: object) -> object:
    """'NAME:key=value,NAME' or a list of such texts."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        return value
    texts = [text for part in parts for text in (part.split(",") if isinstance(part, str) else [part])]
    try:
        return tuple(
            Misbehaviour.parse(text.strip()) if isinstance(text, str) else text
            for text in texts
            if not isinstance(text, str) or text.strip()
        )
    except MisbehaviourError as error:
        raise ValueError(str(error)) from error


class EmulatorSettings(ProcessSettings):
    """Settings of `trapline emulator`."""

    emulator_sources: Annotated[int | None, CommandLine(option="--sources", metavar="NUMBER")] = Field(
        default=None,
        ge=1,
        le=1024,
        description=f"Image servers, named sb0, sb1, …: one a subband. {DEFAULT_SOURCES} unless --fits says "
        "otherwise.",
    )
    emulator_size: Annotated[
        ImageSize, BeforeValidator(_image_size), CommandLine(option="--size", metavar="N|NAXIS1xNAXIS2")
    ] = Field(
        default=ImageSize(1024, 1024), description="Pixels of an image: 1024, or 1024x768 for NAXIS1xNAXIS2."
    )
    emulator_rate: Annotated[
        float | None, BeforeValidator(_rate), CommandLine(option="--rate", metavar="HZ|max")
    ] = Field(
        default=1.0,
        gt=0,
        le=100_000,
        description="Timestamps a second. 'max': as fast as the clients read, nothing is dropped.",
    )
    emulator_frames: Annotated[int | None, CommandLine(option="--frames", metavar="NUMBER")] = Field(
        default=None, ge=1, description="Timestamps to send, then end; without it, until stopped."
    )
    emulator_host: Annotated[str, CommandLine(option="--host")] = Field(
        default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for all."
    )
    emulator_port: Annotated[int, CommandLine(option="--port")] = Field(
        default=6666,
        ge=0,
        le=65_535,
        description="Port of the first source, the others follow; 0 takes free ones.",
    )
    emulator_ports_file: Annotated[Path | None, CommandLine(option="--ports-file", metavar="FILE")] = Field(
        default=None,
        description="Write the addresses here, as a value of TRAPLINE_SOURCES, once they answer.",
    )
    emulator_wait_for_clients: Annotated[
        int | None, CommandLine(option="--wait-for-clients", metavar="NUMBER")
    ] = Field(
        default=None,
        ge=0,
        description="Clients that each source waits for before the first frame. 1 with --rate max and for "
        "finite runs with --truth, otherwise 0.",
    )
    emulator_backlog_frames: Annotated[int, CommandLine(option="--backlog-frames", metavar="NUMBER")] = Field(
        default=8,
        ge=1,
        description="Frames that may wait for a slow client until it is disconnected. Not with --rate max.",
    )
    emulator_seed: Annotated[int, CommandLine(option="--seed")] = Field(
        default=1, ge=0, description="Of the sky: the same seed shows the same sky."
    )
    emulator_ring: Annotated[int | None, CommandLine(option="--ring", metavar="STEPS")] = Field(
        default=None,
        ge=0,
        description="Timestamps whose images are rendered once and then repeated; 0 renders each anew. "
        "Without it: 0 where that costs little, else as many as fit into 256 MiB.",
    )
    emulator_pixel_order: Annotated[PixelOrder, CommandLine(option="--pixel-order")] = Field(
        default=PixelOrder.FITS,
        description="transposed packs pixels as the telescope's old emulator did, NAXIS2 fastest.",
    )
    emulator_start: Annotated[
        int | None, BeforeValidator(_timestamp), CommandLine(option="--start", metavar="TIME")
    ] = Field(
        default=None, description="First timestamp, ISO 8601 in UTC; without it, the time of the start."
    )
    emulator_cadence_s: Annotated[float | None, CommandLine(option="--cadence", metavar="SECONDS")] = Field(
        default=None,
        ge=1e-6,
        description="Seconds from one timestamp to the next, independent of the rate; else the wall clock's.",
    )
    emulator_fits: Annotated[Path | None, CommandLine(option="--fits", metavar="DIR")] = Field(
        default=None,
        description="Serve the FITS images of this folder, in the order of their names, instead of a sky: "
        "one source a frequency (lowest first), or in turn onto as many sources as --sources says.",
    )
    emulator_keep_dates: Annotated[bool, CommandLine(option="--keep-dates")] = Field(
        default=False, description="With --fits: keep the files' own DATE-OBS and send each file once."
    )
    emulator_truth: Annotated[Path | None, CommandLine(option="--truth", metavar="FILE")] = Field(
        default=None, description="Write a line of JSON for each frame that a client got: what must arrive."
    )
    emulator_misbehave: Annotated[
        tuple[Misbehaviour, ...],
        BeforeValidator(_misbehaviours),
        CommandLine(option="--misbehave", repeatable=True, metavar="NAME[:every=N]"),
    ] = Field(default=(), description="Faults on purpose; `trapline emulator --faults` lists them.")

    @property
    def pace(self) -> Pace:
        """How fast, and with which timestamps."""
        cadence_us = (
            None if self.emulator_cadence_s is None else round(self.emulator_cadence_s * MICROSECONDS)
        )
        return Pace(self.emulator_rate, self.emulator_start, cadence_us)

    @property
    def wait_for_clients(self) -> int:
        """Clients that each source waits for before the first frame."""
        if self.emulator_wait_for_clients is not None:
            return self.emulator_wait_for_clients
        finite_with_truth = self.emulator_frames is not None and self.emulator_truth is not None
        return int(self.emulator_rate is None or finite_with_truth)

    def cross_problems(self) -> Iterator[CrossProblem]:
        """Settings that make no sense together."""
        yield from super().cross_problems()
        if self.emulator_fits is None and self.emulator_keep_dates:
            yield CrossProblem(
                ("emulator_keep_dates", "emulator_fits"), "has a meaning only together with --fits"
            )
        if self.emulator_fits is None:
            last = self.emulator_port + (self.emulator_sources or DEFAULT_SOURCES) - 1
            if self.emulator_port and last > 65_535:  # noqa: PLR2004
                yield CrossProblem(
                    ("emulator_port", "emulator_sources"),
                    f"the last source would need port {last}; the last one there is is 65535",
                )
            names = {f"sb{index}" for index in range(self.emulator_sources or DEFAULT_SOURCES)}
            for misbehaviour in self.emulator_misbehave:
                if misbehaviour.source not in {None, "all", *names}:
                    yield CrossProblem(
                        ("emulator_misbehave", "emulator_sources"),
                        f"{misbehaviour}: there is no source {misbehaviour.source!r}",
                    )
