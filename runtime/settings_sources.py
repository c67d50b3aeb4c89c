"""Where settings come from: the environment and a TOML file; and how a key is named in each.

One flat name serves all: field `grace_s`, TOML key `grace_s`, variable `TRAPLINE_GRACE_S`, option
`--grace-s`.
"""

import difflib
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from runtime.errors import SettingProblem, SettingsError

ENV_PREFIX = "TRAPLINE_"
CONFIG_FILE_VARIABLE = "TRAPLINE_CONFIG_FILE"
TEST_PREFIX = "TRAPLINE_TEST_"  # knobs of the test suite, which are no settings


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    return ENV_PREFIX + field.upper()


def variables_set(environ: Mapping[str, str]) -> dict[str, str]:
    """Field names of the settings that the environment holds, each with its variable as it is written.

    An empty variable counts as not set: `TRAPLINE_HTTP_PORT=` in a compose file means the default.
    """
    return {
        variable[len(ENV_PREFIX) :].lower(): variable
        for variable, value in environ.items()
        if variable.upper().startswith(ENV_PREFIX)
        and not variable.upper().startswith(TEST_PREFIX)
        and variable.upper() != CONFIG_FILE_VARIABLE
        and value
    }


def read_config_file(path: Path) -> dict[str, object]:
    """The keys of a TOML file of settings.

    Raises:
        SettingsError: the file can't be read or is no TOML; names the file and the line.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError([SettingProblem(str(path), f"can't be read: {reason}")]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([SettingProblem(str(path), f"is not valid TOML: {error}")]) from error


def unknown_keys(written: Mapping[str, str], known: Collection[str]) -> Iterator[SettingProblem]:
    """The keys that are no setting of any process.

    Args:
        written: field names, each with the key as its user wrote it.
        known: the fields of all processes.
    """
    for field, key in written.items():
        if field in known:
            continue
        near = difflib.get_close_matches(field, known, n=1)
        hint = ""
        if near:
            right = variable_of(near[0]) if key.upper().startswith(ENV_PREFIX) else near[0]
            hint = f"; did you mean {right}?"
        yield SettingProblem(key, f"no such setting{hint}")
