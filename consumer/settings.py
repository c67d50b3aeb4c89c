"""What a reader of groups can be told, and what the TraP drop-in and replays can be told besides."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from consumer.selection import parse_require
from consumer.start import parse_start
from runtime.settings import ByteCount, TraplineSettings, load_settings

OF_MEMBERS: Final = ("reader_session_timeout_s", "reader_max_poll_interval_s")
"""Settings that only a member of a consumer group looks at."""

OF_STREAMS: Final = ("on_gap", "merge_wait_s", *OF_MEMBERS)
"""Settings that only a stream of groups looks at, and not who reads history."""

OF_READING_AHEAD: Final = ("read_ahead_groups", "read_ahead_bytes")
"""Settings that only who hands out images one after the other looks at."""


class ConsumerSettings(TraplineSettings):
    """How groups are read, whoever reads them."""

    on_gap: Literal["error", "skip"] = Field(
        default="error",
        description="Where retention deleted records before they were read: stop with an error that names "
        "them, or skip them, counted, and go on at the oldest there are.",
    )
    read_ahead_groups: int = Field(
        default=64, ge=1, description="Groups read ahead of the one in work; reading pauses at this number."
    )
    read_ahead_bytes: ByteCount = Field(
        default=128 * 1024**2,
        ge=1,
        description="Bytes of groups read ahead; reading pauses there. Up to one group more a partition.",
    )
    merge_wait_s: float = Field(
        default=2.0,
        ge=0,
        description="Several partitions merged by timestamp: longest wait of a group for an earlier one.",
    )
    broker_wait_s: float = Field(
        default=30.0,
        gt=0,
        description="How long a broker may be away before that is an error: at the start, and where history "
        "is read at any time. A stream that has begun waits for it.",
    )
    reader_session_timeout_s: float = Field(
        default=10.0,
        ge=1,
        description="With a consumer group: a member that is not heard of for so long loses its partitions.",
    )
    reader_max_poll_interval_s: float = Field(
        default=300.0,
        ge=1,
        description="With a consumer group: a member whose reading thread hangs for so long loses its "
        "partitions. Processing a group may take longer.",
    )


def settings_with(settings: ConsumerSettings | None, overrides: Mapping[str, Any]) -> ConsumerSettings:
    """Settings with some of them replaced; without any, those of the environment and the TOML file.

    Raises:
        SettingsError: a setting is wrong.
    """
    if settings is None:
        return load_settings(ConsumerSettings, overrides=dict(overrides))
    if not overrides:
        return settings
    return load_settings(type(settings), overrides={**settings.model_dump(), **overrides})


class TrapSettings(ConsumerSettings):
    """How the TraP drop-in reads groups."""

    trap_group_id: str | None = Field(
        default=None,
        min_length=1,
        description="Consumer group of the TraP drop-in, which remembers how far TraP came; "
        "default PREFIX.trap. A new name starts anew at trap_start.",
    )
    trap_static_id: str | None = Field(
        default=None,
        min_length=1,
        description="A name of this TraP that survives restarts: after a crash it goes on at once instead of "
        "after reader_session_timeout_s. Two TraPs may not have the same.",
    )
    trap_start: str = Field(
        default="beginning",
        description="Where a consumer group that is new to Kafka starts: beginning, end (live), last:N, "
        "or an observation time such as 2026-11-23T10:00:00.",
    )
    trap_require: str = Field(
        default="any",
        description="Which groups TraP gets: any, all (complete ones alone), or a least number of images.",
    )

    @field_validator("trap_start")
    @classmethod
    def _check_start(cls, value: str) -> str:
        parse_start(value)
        return value

    @field_validator("trap_require")
    @classmethod
    def _check_require(cls, value: str) -> str:
        parse_require(value)
        return value

    @property
    def consumer_group_id(self) -> str:
        """The consumer group of the TraP drop-in."""
        return self.trap_group_id or f"{self.topic_prefix}.trap"


class TargetSettings(TraplineSettings):
    """The settings of another cluster: a TOML file's alone. The environment is that of the one we read."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, and the defaults."""
        return (init_settings,)
