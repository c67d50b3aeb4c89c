"""The Dockerfile, as far as it can be read; its steps are taken in tests/integration/image/."""

import re
import tomllib
from fnmatch import fnmatch

import yaml

from tests.support.chart import CHART, ROOT
from trapline.version import __version__

TEXT = (ROOT / "Dockerfile").read_text()
BUILD, IMAGE = TEXT.split("\nFROM ")[1:]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
    "packages"
]


def copied() -> set[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE)
    return {name for line in lines for name in line.split()[:-1]}


def test_it_copies_what_the_wheel_is_made_of_and_nothing_else():
    assert copied() == {"pyproject.toml", "README.md", "LICENSE", *PACKAGES}


def test_nothing_else_is_sent_to_the_engine():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied()
    sent = {path.name for path in ROOT.iterdir() if any(fnmatch(path.name, name) for name in copied())}
    assert sent == copied()


def test_the_image_has_no_compiler_and_no_installer():
    assert BUILD.startswith("python:${PYTHON_VERSION}-slim AS build")
    assert IMAGE.startswith("python:${PYTHON_VERSION}-slim\n")
    assert "--only-binary :all:" in BUILD
    assert "RUN" not in IMAGE


def test_it_runs_as_the_user_that_the_chart_says():
    user = yaml.safe_load((CHART / "values.yaml").read_text())["podSecurity"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}\n" in IMAGE
    assert 'ENTRYPOINT ["trapline"]' in IMAGE


def test_its_labels():
    version = re.search(r"^ARG VERSION=(.+)$", IMAGE, re.MULTILINE)
    assert version is not None
    assert version[1] == __version__
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", IMAGE))
    assert labels == {"title", "description", "licenses", "version", "revision"}
