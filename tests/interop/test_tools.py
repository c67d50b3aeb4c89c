import pytest

from tests.interop.foreign_tools import DEBIAN_PACKAGES, find_tool

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("tool", DEBIAN_PACKAGES)
def test_a_missing_tool_fails_by_name(tool, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.fail.Exception) as failure:
        find_tool(tool)
    message = str(failure.value)
    assert message.startswith(f"{tool} is not on PATH")
    assert f"apt-get install {DEBIAN_PACKAGES[tool]}" in message


@pytest.mark.parametrize("tool", DEBIAN_PACKAGES)
def test_the_tool_is_here(tool):
    assert find_tool(tool)
