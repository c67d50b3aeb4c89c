import os
from pathlib import Path
from typing import Annotated

import click
import pytest
from click.testing import CliRunner
from pydantic import Field

from runtime.errors import SettingsError
from runtime.options import SettingOption, settings_options
from runtime.settings import CommandLine, TraplineSettings


class RoomSettings(TraplineSettings):
    grace_s: float = Field(default=5.0, gt=0, description="Seconds to wait.")
    spool_dir: Path | None = Field(default=None, description="Folder.")
    fsync: bool = Field(default=True, description="Whether to sync.")
    count: Annotated[int, CommandLine(option="--frames", metavar="FRAMES")] = Field(
        default=0, description="Frames."
    )
    inner: Annotated[int, CommandLine(hidden=True)] = Field(default=0, description="Not for people.")


@pytest.fixture
def seen():
    return []


@pytest.fixture
def run(monkeypatch, seen):
    for name in [name for name in os.environ if name.startswith("TRAPLINE_")]:
        monkeypatch.delenv(name)

    @click.command()
    @settings_options(RoomSettings, exclude={"http_host"})
    @click.option("--other", default="x")
    def command(settings, other):
        seen.append((settings, other))

    def invoke(*args):
        return CliRunner().invoke(command, args, catch_exceptions=True)

    return invoke


def test_every_setting_is_an_option(run, seen):
    result = run(
        *("--grace-s", "2", "--spool-dir", "d", "--no-fsync", "--frames", "7", "--other", "y"),
        *("--source", "a=tcp://h:1", "--source", "b=tcp://h:2", "--max-frame-bytes", "1MiB"),
    )
    assert result.exception is None
    ((settings, other),) = seen
    assert settings.grace_s == 2.0
    assert settings.spool_dir == Path("d")
    assert settings.fsync is False
    assert settings.count == 7
    assert settings.max_frame_bytes == 1024**2
    assert [source.name for source in settings.sources] == ["a", "b"]
    assert other == "y"


def test_options_that_are_not_given_leave_environment_and_file_alone(run, seen, monkeypatch, tmp_path):
    file = tmp_path / "trapline.toml"
    file.write_text("count = 3\nfsync = false\n")
    monkeypatch.setenv("TRAPLINE_GRACE_S", "9")
    assert run("--config", str(file)).exception is None
    ((settings, _),) = seen
    assert (settings.grace_s, settings.count, settings.fsync) == (9.0, 3, False)


def test_errors_name_the_options(run, seen):
    error = run("--grace-s", "soon", "--frames", "many", "--source", "a").exception
    assert isinstance(error, SettingsError)
    assert {problem.key for problem in error.problems} == {"--grace-s", "--frames", "--source"}
    assert seen == []


def test_help_names_the_variable_and_the_default(run):
    text = " ".join(run("--help").output.split())
    assert "--grace-s NUMBER Seconds to wait. [TRAPLINE_GRACE_S; default: 5.0]" in text
    assert "--fsync / --no-fsync Whether to sync. [TRAPLINE_FSYNC; default: True]" in text
    assert "--frames FRAMES" in text
    assert "--source NAME=URL" in text
    assert "--log-level [debug|info|warning|error]" in text
    assert "--config FILE" in text


def test_secrets_and_hidden_settings_are_no_options(run):
    text = run("--help").output
    assert "--sasl-password-file" in text
    for absent in ("--sasl-password ", "--ssl-key-password ", "--inner", "--http-host"):
        assert absent not in text


def test_settings_of_every_process_are_told_apart():
    @click.command()
    @settings_options(RoomSettings)
    def command(settings):
        raise AssertionError(settings)

    shared = {param.opts[0]: param.shared for param in command.params if isinstance(param, SettingOption)}
    assert shared["--grace-s"] is False
    assert shared["--bootstrap-servers"] is False
    assert shared["--log-level"] is True
    assert shared["--ssl-ca-file"] is True
    assert list(shared.values()) == sorted(shared.values())
