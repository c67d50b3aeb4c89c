"""Command-line options made from a settings class: the same names as in environment and TOML.

Values go to the settings as text, so that one place checks them and all errors come together. Secrets
get no option: a command line can be read by every user of the machine.
"""

import types
import typing
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from runtime.kafka_security import SecurityKeys
from runtime.logs import configure_logs
from runtime.settings import CommandLine, ProcessSettings, load_settings
from runtime.settings_sources import CONFIG_FILE_VARIABLE, variable_of

_CommandT = TypeVar("_CommandT", bound=Callable[..., Any])


class SettingOption(click.Option):
    """The option of one setting.

    Attributes:
        shared: about logs, health or security, as in every process; the help lists those apart.
    """

    shared: bool = False


def settings_options(
    cls: type[ProcessSettings], *, exclude: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a click command an option for each setting, and `--config`; call it with `settings=`.

    The settings' log format and level are in force by then.

    Args:
        cls: the settings class; the command gets an instance of it as keyword argument `settings`.
        exclude: fields without an option here (they may still be set elsewhere).

    Raises (the command):
        SettingsError: lists everything that is wrong.
    """
    fields = {
        name: field
        for name, field in cls.model_fields.items()
        if name not in exclude and not _command_line(field).hidden and not is_secret(field.annotation)
    }
    fields = dict(sorted(fields.items(), key=lambda item: _is_shared(cls, item[0])))  # what is special first
    names = {name: _option_name(name, field) for name, field in fields.items()}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(*args: Any, config_file: Path | None, **given: Any) -> Any:
            overrides = {}
            for name in fields:
                value = given.pop(f"setting_{name}")
                if value is not None and value != ():
                    overrides[name] = value
            settings = load_settings(cls, overrides=overrides, config_file=config_file, option_names=names)
            configure_logs(settings.log_level, settings.log_format)
            return function(*args, settings=settings, **given)

        for name in reversed(fields):  # click lists the decorator that is nearest to the function last
            command = _option(cls, name, fields[name], names[name])(command)
        return click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help=f"TOML file of settings.  [{CONFIG_FILE_VARIABLE}]",
        )(command)

    return decorate


def is_secret(annotation: Any) -> bool:
    """Whether a field holds a secret."""
    return annotation is SecretStr or any(is_secret(part) for part in typing.get_args(annotation))


def _is_shared(cls: type[ProcessSettings], name: str) -> bool:
    of_every_process = name in ProcessSettings.model_fields or name in SecurityKeys.model_fields
    return of_every_process and name not in cls.__annotations__


def _command_line(field: FieldInfo) -> CommandLine:
    for part in reversed(field.metadata):  # the outermost wins, over that of a type such as ByteCount
        if isinstance(part, CommandLine):
            return part
    return CommandLine()


def _option_name(name: str, field: FieldInfo) -> str:
    return _command_line(field).option or "--" + name.replace("_", "-")


def _option(
    cls: type[ProcessSettings], name: str, field: FieldInfo, option: str
) -> Callable[[_CommandT], _CommandT]:
    look = _command_line(field)
    kind = _without_none(field.annotation)
    default = "" if field.default in (None, ()) else f"; default: {_plain(field.default)}"
    more: Mapping[str, Any]
    if kind is bool:
        option, more = f"{option}/--no-{option.removeprefix('--')}", {}
    else:
        more = {"metavar": look.metavar or _metavar(kind), "multiple": look.repeatable}
    decorator = click.option(
        option,
        f"setting_{name}",
        cls=SettingOption,
        default=None,
        help=f"{field.description}  [{variable_of(name)}{default}]",
        **more,
    )

    def decorate(command: _CommandT) -> _CommandT:
        decorated = decorator(command)
        params: list[click.Parameter] = decorated.__click_params__  # type: ignore[attr-defined]
        last = params[-1]
        if isinstance(last, SettingOption):
            last.shared = _is_shared(cls, name)
        return decorated

    return decorate


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        (kind,) = [part for part in typing.get_args(annotation) if part is not type(None)]
        return kind
    return annotation


def _metavar(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return "[" + "|".join(str(value) for value in typing.get_args(kind)) + "]"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "[" + "|".join(str(member.value) for member in kind) + "]"
    return {int: "N", float: "NUMBER", Path: "FILE"}.get(kind, "TEXT")


def _plain(value: object) -> str:
    return ",".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
