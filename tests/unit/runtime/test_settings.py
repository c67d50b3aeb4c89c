import os

import pytest
from pydantic import Field, SecretStr

from runtime.errors import SettingsError
from runtime.settings import CrossProblem, Names, ProcessSettings, TraplineSettings, load_settings
from schemas.source import Source


class RoomSettings(TraplineSettings):
    grace_s: float = Field(default=5.0, gt=0, description="Seconds.")
    names: Names = Field(default=(), description="Names.")
    low: int = Field(default=1, description="Low.")
    high: int = Field(default=2, description="High.")

    def cross_problems(self):
        yield from super().cross_problems()
        if self.low > self.high:
            yield CrossProblem(("low", "high"), f"is above high ({self.high})")


class OtherRoomSettings(TraplineSettings):
    cadence_s: float = Field(default=1.0, description="Seconds.")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("TRAPLINE_")]:
        monkeypatch.delenv(name)


def load(cls=RoomSettings, *, known=(OtherRoomSettings,), **overrides):
    return load_settings(
        cls, overrides=overrides, known=known, option_names={"grace_s": "--grace-s", "low": "--low"}
    )


def problems(**given):
    with pytest.raises(SettingsError) as caught:
        load(**given)
    return caught.value.problems


def test_defaults():
    settings = load()
    assert settings.bootstrap_servers == "127.0.0.1:9092"
    assert settings.topic_prefix == "aartfaac"
    assert settings.topics.raw == "aartfaac.raw"
    assert settings.sources == ()
    assert settings.max_frame_bytes == 64 * 1024**2
    assert settings.http_port is None


def test_precedence_command_line_environment_file_default(tmp_path, monkeypatch):
    file = tmp_path / "trapline.toml"
    file.write_text('grace_s = 1\nlow = -1\ntopic_prefix = "file"\n')
    monkeypatch.setenv("TRAPLINE_CONFIG_FILE", str(file))
    monkeypatch.setenv("TRAPLINE_GRACE_S", "2")
    monkeypatch.setenv("TRAPLINE_LOW", "-2")
    settings = load(grace_s="3")
    assert settings.grace_s == 3.0
    assert settings.low == -2
    assert settings.topic_prefix == "file"
    assert settings.high == 2


def test_a_given_file_wins_over_the_one_in_the_environment(tmp_path, monkeypatch):
    (tmp_path / "a.toml").write_text("low = -1\n")
    (tmp_path / "b.toml").write_text("low = -2\n")
    monkeypatch.setenv("TRAPLINE_CONFIG_FILE", str(tmp_path / "a.toml"))
    assert load_settings(RoomSettings, config_file=tmp_path / "b.toml", known=()).low == -2


def test_an_empty_variable_counts_as_not_set(monkeypatch, tmp_path):
    monkeypatch.setenv("TRAPLINE_HTTP_PORT", "")
    monkeypatch.setenv("TRAPLINE_LOW", "")
    file = tmp_path / "trapline.toml"
    file.write_text("low = -5")
    assert load_settings(RoomSettings, config_file=file, known=()).low == -5


def test_all_errors_come_at_once_each_with_its_key_as_written(tmp_path, monkeypatch):
    file = tmp_path / "trapline.toml"
    file.write_text('http_port = "many"\ngrase_s = 1\nlog_level = "loud"\n')
    monkeypatch.setenv("TRAPLINE_CONFIG_FILE", str(file))
    monkeypatch.setenv("TRAPLINE_TOPIC_PREFX", "x")
    monkeypatch.setenv("TRAPLINE_MAX_FRAME_BYTES", "12")
    found = {problem.key: problem.text for problem in problems(grace_s="soon", low=9)}
    assert found == {
        "TRAPLINE_TOPIC_PREFX": "no such setting; did you mean TRAPLINE_TOPIC_PREFIX?",
        f"grase_s in {file}": "no such setting; did you mean grace_s?",
        f"http_port in {file}": "should be a valid integer, not 'many'",
        f"log_level in {file}": "should be 'debug', 'info', 'warning' or 'error', not 'loud'",
        "TRAPLINE_MAX_FRAME_BYTES": "should be greater than or equal to 1024, not 12",
        "--grace-s": "should be a valid number, not 'soon'",
        "--low": "is above high (2)",
    }


def test_settings_that_depend_on_a_wrong_one_are_not_reported():
    assert [problem.key for problem in problems(low=9, high="x")] == ["high"]


def test_the_error_lists_every_problem():
    with pytest.raises(SettingsError, match=r"(?s)2 settings are wrong:.*--grace-s.*high") as caught:
        load(grace_s="x", high="y")
    assert caught.value.exit_status == 2


def test_keys_of_other_processes_are_known(tmp_path, monkeypatch):
    file = tmp_path / "trapline.toml"
    file.write_text("cadence_s = 2\n")
    monkeypatch.setenv("TRAPLINE_CADENCE_S", "3")
    monkeypatch.setenv("TRAPLINE_TEST_TIMEOUT_FACTOR", "4")
    monkeypatch.setenv("TRAPLINE_CONFIG_FILE", str(file))
    assert load().grace_s == 5.0
    assert len(problems(known=())) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("low = ", "is not valid TOML"),
        ("low = 1\nlow = 2", "is not valid TOML"),
        (None, "can't be read: No such file"),
    ],
)
def test_a_bad_file_is_named_and_other_errors_are_still_reported(tmp_path, monkeypatch, text, words):
    file = tmp_path / "trapline.toml"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("TRAPLINE_CONFIG_FILE", str(file))
    found = problems(high="x")
    assert found[0].key == str(file)
    assert words in found[0].text
    assert found[1].key == "high"


@pytest.mark.parametrize(
    "sources",
    [
        "sb0=tcp://a:1,sb1=tcp://b:2?pixel_order=transposed",
        " sb0=tcp://a:1 , sb1=tcp://b:2?pixel_order=transposed,",
        ("sb0=tcp://a:1", "sb1=tcp://b:2?pixel_order=transposed"),
        ("sb0=tcp://a:1,sb1=tcp://b:2?pixel_order=transposed",),
        {"sb0": "tcp://a:1", "sb1": "tcp://b:2?pixel_order=transposed"},
    ],
)
def test_sources_in_every_form(sources):
    first, second = load(sources=sources).sources
    assert first == Source.parse("sb0=tcp://a:1")
    assert second == Source.parse("sb1=tcp://b:2?pixel_order=transposed")


def test_dumped_settings_can_be_read_again():
    settings = load(sources="sb0=tcp://a:1?pixel_order=transposed", names="a,b", max_frame_bytes="1MiB")
    assert load_settings(RoomSettings, overrides=settings.model_dump(), known=()) == settings
    assert load_settings(RoomSettings, overrides=dict(settings), known=()) == settings


def test_sources_in_a_file(tmp_path):
    file = tmp_path / "trapline.toml"
    file.write_text('[sources]\nsb0 = "tcp://a:1"\nsb1 = "tcp://b:2"\n')
    settings = load_settings(RoomSettings, config_file=file, known=())
    assert [source.name for source in settings.sources] == ["sb0", "sb1"]


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ("sb0=tcp://a:1,sb0=tcp://b:2", "'sb0' is given twice"),
        ("sb0", "sb0"),
        (7, "should be NAME=URL,NAME=URL"),
        ([7], "should be NAME=URL"),
    ],
)
def test_wrong_sources(sources, words):
    (problem,) = problems(sources=sources)
    assert problem.key == "sources"
    assert words in problem.text


def test_bytes_with_a_unit(monkeypatch):
    monkeypatch.setenv("TRAPLINE_MAX_FRAME_BYTES", "16MiB")
    assert load().max_frame_bytes == 16 * 1024**2
    monkeypatch.setenv("TRAPLINE_MAX_FRAME_BYTES", "many")
    (problem,) = problems()
    assert problem.key == "TRAPLINE_MAX_FRAME_BYTES"
    assert problem.text == "should be a number of bytes such as 268435456 or 256MiB, not 'many'"


@pytest.mark.parametrize("servers", ["kafka:9092", "a.b:1,c:65535", "[::1]:9092", "10.0.0.1:9092"])
def test_brokers(servers):
    assert load(bootstrap_servers=servers).bootstrap_servers == servers


def test_spaces_between_brokers_go():
    assert load(bootstrap_servers=" a:1, b:2 ,").bootstrap_servers == "a:1,b:2"


@pytest.mark.parametrize(
    "servers",
    ["kafka", "kafka:", ":9092", "kafka:port", "kafka:0", "kafka:70000", "http://kafka:9092", "me@kafka:1",
     "kafka:9092/topic", "ka fka:9092", "kafka:9092;b:1", ""],
)  # fmt: skip
def test_wrong_brokers(servers):
    (problem,) = problems(bootstrap_servers=servers)
    assert problem.key == "bootstrap_servers"
    assert "should be HOST:PORT" in problem.text


def test_names_from_text_and_list():
    assert load(names="a, b,").names == ("a", "b")
    assert load(names=["a", "b"]).names == ("a", "b")


def test_a_prefix_that_makes_no_topic_names():
    (problem,) = problems(topic_prefix="a b")
    assert problem.key == "topic_prefix"


def test_a_setting_that_is_unknown_to_the_class_given_as_argument():
    (problem,) = problems(typo=1)
    assert problem.key == "typo"


def test_a_setting_that_is_missing_is_named_by_its_variable():
    found = {
        problem.key for problem in problems(security_protocol="sasl_ssl", sasl_mechanism="SCRAM-SHA-512")
    }
    assert found == {"TRAPLINE_SASL_USERNAME", "TRAPLINE_SASL_PASSWORD"}


def test_secrets_are_in_no_message_and_no_repr(monkeypatch, tmp_path):
    secret_file = tmp_path / "password"
    secret_file.write_text("hunter3\n")
    monkeypatch.setenv("TRAPLINE_SASL_PASSWORD", "hunter2")
    monkeypatch.setenv("TRAPLINE_SASL_PASSWRD", "hunter2")
    monkeypatch.setenv("TRAPLINE_SASL_PASSWORD_FILE", str(secret_file))
    with pytest.raises(SettingsError) as caught:
        load(security_protocol="sasl_ssl", sasl_mechanism="plain", sasl_username="me")
    text = f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert "hunter" not in text
    assert {problem.key for problem in caught.value.problems} == {
        "TRAPLINE_SASL_PASSWRD",
        "TRAPLINE_SASL_PASSWORD",
    }


def test_a_secret_of_the_wrong_type_is_not_echoed():
    class Secretive(ProcessSettings):
        key: SecretStr = Field(default=SecretStr(""), min_length=20, description="Key.")

    with pytest.raises(SettingsError) as caught:
        load_settings(Secretive, overrides={"key": "hunter2"}, known=())
    assert "hunter2" not in str(caught.value)
    assert caught.value.problems[0].key == "key"
