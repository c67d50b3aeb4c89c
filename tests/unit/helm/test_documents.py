"""The chart's documents, as far as Python alone can look at them; templates are looked at in tests/chart/."""

import tomllib
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from connector.settings import ConnectorSettings
from grouper.settings import GrouperSettings
from helm.documents.values import defaults
from helm.documents.writing import documents, values_schema
from tests.support.chart import CHART, ROOT, VARIANTS, variant_values
from trapline.version import __version__

SCHEMA = values_schema()
OF_KUBERNETES = {
    *("affinity", "tolerations[]", "extraEnv[]", "extraVolumes[]", "extraVolumeMounts[]"),
    *("to[]", "from[]"),  # peers of a NetworkPolicy
}


def valid(values: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(values)


def schemas(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield name, schema
    for key, each in schema.get("properties", {}).items():
        yield from schemas(f"{name}.{key}", each)
    if "items" in schema:
        yield from schemas(f"{name}[]", schema["items"])


def test_the_documents_are_those_of_the_list_of_values():
    for path, text in documents().items():
        assert path.read_text() == text, f"{path.name}: python -m helm.documents"


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_is_closed():
    for name, schema in schemas("values", SCHEMA):
        if schema.get("type") != "object" or name == "values.global":
            continue
        more = schema.get("additionalProperties", True)
        if more is True:
            assert name.rsplit(".", 1)[-1] in OF_KUBERNETES, f"{name} takes any key"


def test_every_key_says_what_it_is():
    seen = 0
    for name, schema in schemas("values", SCHEMA):
        if name != "values" and not name.endswith("[]"):
            seen += 1
            assert len(schema.get("description", "")) > 3, name
    assert seen > 150


def test_the_defaults_are_valid():
    valid(defaults())
    assert yaml.safe_load((CHART / "values.yaml").read_text()) == defaults()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_variants_are_valid(variant):
    valid(variant_values(variant))


def test_the_variants_are_those_that_were_asked_for():
    asked = {"default-minimal", "sasl-tls", "mtls", "redundant-pair", "many-sources", "everything-on"}
    assert asked <= set(VARIANTS)


@pytest.mark.parametrize(
    "values",
    [
        {"kafka": {"bootstrap": "kafka:9092"}},
        {"sources": {"sb0": "tcp://10.0.0.1:6666"}},
        {"sources": [{"name": "sb0", "url": "udp://10.0.0.1:6666"}]},
        {"sources": [{"name": "s b", "url": "tcp://10.0.0.1:6666"}]},
        {"sources": [{"name": "sb0"}]},
        {"connector": {"shares": "2"}},
        {"connector": {"settings": {"queue_max_byte": 1}}},
        {"connector": {"settings": {"spool": "off"}}},
        {"connector": {"spool": {"size": "25 GB"}}},
        {"grouper": {"sessionTimeoutSeconds": 6}},
        {"grouper": {"settings": {"late": "perhaps"}}},
        {"topics": {"retentionBytes": "much"}},
        {"topics": {"retentionHours": 0}},
        {"image": {"digest": "sha256:abc"}},
    ],
)
def test_what_is_wrong_is_refused(values):
    with pytest.raises(jsonschema.ValidationError):
        valid(values)


@pytest.mark.parametrize(("room", "cls"), [("connector", ConnectorSettings), ("grouper", GrouperSettings)])
def test_every_setting_can_be_set(room, cls):
    """By its own name under ROOM.settings, or by a value of the chart."""
    own = SCHEMA["properties"][room]["properties"]["settings"]["properties"]
    templates = "".join(path.read_text() for path in CHART.glob("templates/*.*"))
    for name in cls.model_fields:
        by_chart = f"TRAPLINE_{name.upper()}\n" in templates
        in_secret = f"TRAPLINE_{name.upper()}_FILE" in templates
        assert (name in own) != (by_chart or in_secret), name


def test_versions_are_those_of_trapline():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


def test_the_chart_is_no_part_of_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "helm" not in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
