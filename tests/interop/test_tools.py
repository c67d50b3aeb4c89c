import sys

import pytest

from tests.interop.foreign_tools import DEBIAN_PACKAGES, PYPI_PACKAGES, find_tool

pytestmark = pytest.mark.interop

PACKAGES = {
    **{tool: f"apt-get install {package}" for tool, package in DEBIAN_PACKAGES.items()},
    **{tool: f"pip install {package}" for tool, package in PYPI_PACKAGES.items()},
}


@pytest.mark.parametrize("tool", PACKAGES)
def test_a_missing_tool_fails_by_name(tool, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(pytest.fail.Exception) as failure:
        find_tool(tool)
    message = str(failure.value)
    assert message.startswith(f"{tool} is not on PATH")
    assert PACKAGES[tool] in message


@pytest.mark.parametrize("tool", PACKAGES)
def test_the_tool_is_here(tool):
    assert find_tool(tool)
