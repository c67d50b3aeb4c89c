"""Settings: one set of names for environment, TOML file and command line.

Precedence: command line, then environment, then TOML file, then default. All errors are reported at
once, each naming its key as the user wrote it; no secret is ever part of a message.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.errors import SettingProblem, SettingsError
from runtime.kafka_security import KafkaSecurity, SecurityKeys, narrow_security
from runtime.logs import hide_secrets
from runtime.setting_types import BrokerAddresses, ByteCount, CommandLine, Names, Sources
from runtime.settings_sources import (
    CONFIG_FILE_VARIABLE,
    ENV_PREFIX,
    read_config_file,
    unknown_keys,
    variable_of,
    variables_set,
)
from schemas.topics import TopicNames

__all__ = [
    "ByteCount",
    "CommandLine",
    "CrossProblem",
    "Names",
    "ProcessSettings",
    "SourceKeys",
    "Sources",
    "TraplineSettings",
    "declare_settings",
    "load_settings",
]


@dataclass(frozen=True, slots=True)
class CrossProblem:
    """Settings that are wrong together, though each may be right on its own.

    Attributes:
        fields: the fields it depends on; the first is the one to name.
        text: what is wrong and what would be right.
    """

    fields: tuple[str, ...]
    text: str


class CrossCheckError(ValueError):
    """Carries cross problems through pydantic."""

    def __init__(self, problems: Iterable[CrossProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.text for problem in self.problems))


class ProcessSettings(BaseSettings):
    """What every process can be told, also one that does not speak to Kafka."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        enable_decoding=False,  # lists are NAME,NAME in the environment, not JSON
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # an input may be a secret
        arbitrary_types_allowed=True,
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log lines to write."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="Log lines for people or as JSON; auto: for people on a terminal."
    )
    http_host: str = Field(
        default="127.0.0.1", min_length=1, description="Address that /livez, /readyz and /metrics listen on."
    )
    http_port: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        description="Port of /livez, /readyz and /metrics; 0: any free one. Without it they are off.",
    )

    def cross_problems(self) -> Iterator[CrossProblem]:
        """What is wrong between settings that are right each on its own.

        A room that has such rules extends this with `yield from super().cross_problems()`.
        """
        yield from ()

    def secrets(self) -> Iterator[str]:
        """The texts that no log line may show."""
        for field in type(self).model_fields:
            value = getattr(self, field)
            if isinstance(value, SecretStr):
                yield value.get_secret_value()

    @model_validator(mode="after")
    def _cross_check(self) -> Self:
        problems = tuple(self.cross_problems())
        if problems:
            raise CrossCheckError(problems)
        return self


class SourceKeys(BaseModel):
    """Where frames come from, and how large one may be."""

    sources: Annotated[Sources, CommandLine(option="--source", repeatable=True, metavar="NAME=URL")] = Field(
        default=(),
        description="Image servers, one a source: NAME=tcp://HOST:PORT, separated by commas; or files of "
        "frames, NAME=file:///PATH; ?pixel_order=transposed for images that are transposed.",
    )
    max_frame_bytes: ByteCount = Field(
        default=64 * 1024**2,
        ge=1024,
        le=512 * 1024**2,
        description="Largest frame that is accepted; topics and clients are set to carry it.",
    )


class TraplineSettings(SecurityKeys, SourceKeys, ProcessSettings):
    """What every process that speaks to Kafka can be told."""

    bootstrap_servers: BrokerAddresses = Field(
        default="127.0.0.1:9092",
        description="Kafka brokers to ask first: HOST:PORT,HOST:PORT.",
    )
    topic_prefix: str = Field(
        default="aartfaac",
        description="First part of the names of the topics PREFIX.raw, .groups, .catalogue and .rejects.",
    )

    @property
    def kafka_security(self) -> KafkaSecurity:
        """How to talk to Kafka: the security settings, narrowed to the one mode they name.

        Files are read each time, so that a client made later gets a secret that was renewed.

        Raises:
            SettingsError: a file that was there at the start has gone.
        """
        security, problems = narrow_security(self)
        if security is None:  # cross_problems() refused this at the start; a file may have gone since
            raise SettingsError(SettingProblem(fields[0], text) for fields, text in problems)
        return security

    def secrets(self) -> Iterator[str]:
        """As in every process, and those read from files."""
        yield from super().secrets()
        yield from self.kafka_security.secrets()

    @property
    def topics(self) -> TopicNames:
        """The names of the topics."""
        return TopicNames(self.topic_prefix)

    def cross_problems(self) -> Iterator[CrossProblem]:
        """The security mode's settings have to fit together; the prefix has to make legal topic names."""
        yield from super().cross_problems()
        for fields, text in narrow_security(self)[1]:
            yield CrossProblem(fields, text)
        try:
            TopicNames(self.topic_prefix)
        except ValueError as error:
            yield CrossProblem(("topic_prefix",), str(error))


_SettingsT = TypeVar("_SettingsT", bound=ProcessSettings)
_declarations: list[Callable[[], Collection[type[ProcessSettings]]]] = []


def declare_settings(classes: Callable[[], Collection[type[ProcessSettings]]]) -> None:
    """Make the settings of other processes known: their keys may stand in the environment and the TOML.

    One environment and one TOML file serve all processes; only `trapline`, on top of the rooms, can
    tell a key of another process from a misspelt one.

    Args:
        classes: gives them; called when a key is met that is not of the process's own settings, since to
            import all rooms takes longer than most processes need to start.
    """
    _declarations.append(classes)


def load_settings(
    cls: type[_SettingsT],
    *,
    overrides: Mapping[str, object] | None = None,
    config_file: Path | None = None,
    known: Collection[type[ProcessSettings]] | None = None,
    option_names: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> _SettingsT:
    """Settings of one process from the command line, the environment, a TOML file and the defaults.

    Their secrets are masked in this process's log lines from here on.

    Args:
        cls: the process's settings.
        overrides: what the command line or a caller gave, by field.
        config_file: the TOML file; None: the one that TRAPLINE_CONFIG_FILE names, if any.
        known: settings classes whose keys may stand in the environment and the TOML file as well;
            None: those that were declared.
        option_names: how the overrides were written, by field; by default as the field.
        environ: looked at instead of this process's environment; for a class that does not read that.

    Raises:
        SettingsError: lists everything that is wrong.
    """
    overrides = overrides or {}
    environ = os.environ if environ is None else environ
    if config_file is None and environ.get(CONFIG_FILE_VARIABLE):
        config_file = Path(environ[CONFIG_FILE_VARIABLE])
    problems: list[SettingProblem] = []
    in_file: dict[str, object] = {}
    if config_file is not None:
        try:
            in_file = read_config_file(config_file)
        except SettingsError as error:
            problems += error.problems
    variables = variables_set(environ)
    fields = set(cls.model_fields)
    if not fields.issuperset([*variables, *in_file]):
        others = known if known is not None else [each for classes in _declarations for each in classes()]
        fields.update(name for each in others for name in each.model_fields)
    file_keys = {field: f"{field} in {config_file}" for field in in_file}
    problems += unknown_keys(variables, fields)
    problems += unknown_keys(file_keys, fields)

    # Later ones win: this is the order of precedence, read from its end.
    written = {**file_keys, **variables, **{f: (option_names or {}).get(f, f) for f in overrides}}
    values = {f: v for f, v in in_file.items() if f in cls.model_fields and f not in variables}
    values |= overrides
    settings, wrong = _attempt(cls, values)
    bad = {problem.fields[0] for problem in wrong if problem.fields}
    if bad and bad <= cls.model_fields.keys():
        # pydantic looks at settings together only once each is right on its own. To report all at once,
        # look again with the bad ones at their defaults, and keep what does not depend on those.
        defaults = {f: cls.model_fields[f].get_default(call_default_factory=True) for f in bad}
        _, together = _attempt(cls, {**values, **defaults})
        wrong += [problem for problem in together if not bad.intersection(problem.fields)]
    for problem in wrong:
        field = problem.fields[0] if problem.fields else ""
        # Nobody wrote a setting that is missing; each has a variable, while some have no option.
        key = variable_of(field) if field in cls.model_fields else field
        problems.append(SettingProblem(written.get(field, key), problem.text))
    if settings is None or problems:
        raise SettingsError(problems)
    hide_secrets(settings.secrets())
    return settings


def _attempt(
    cls: type[_SettingsT], values: Mapping[str, object]
) -> tuple[_SettingsT | None, list[CrossProblem]]:
    try:
        return cls(**values), []  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        wrong: list[CrossProblem] = []
        for detail in error.errors():
            cause = detail.get("ctx", {}).get("error")
            if isinstance(cause, CrossCheckError):
                wrong += cause.problems
                continue
            field = str(detail["loc"][0]) if detail["loc"] else ""
            text = str(cause) if isinstance(cause, ValueError) else _plain(detail["msg"])
            if field in cls.model_fields and not _is_secret(cls, field) and not isinstance(cause, ValueError):
                text += f", not {detail['input']!r}"
            wrong.append(CrossProblem((field,) if field else (), text))
        return None, wrong


def _plain(message: str) -> str:
    """A text of pydantic without its view: 'Input should be ..., unable to parse string ...'."""
    return message.removeprefix("Input ").split(", unable to parse")[0]


def _is_secret(cls: type[ProcessSettings], field: str) -> bool:
    return "SecretStr" in str(cls.model_fields[field].annotation)
