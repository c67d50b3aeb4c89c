"""`make test` needs Python and what pip installs, nothing else: no program of the machine's by its name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
_MAY_RUN_FOREIGN = ("interop", "chart", "cluster")
_ALWAYS_THERE = {"bash", "sh", "mount", "umount", "git"}  # of every Linux, and what a clone is made with
_FOREIGN = {
    *("kcat", "kafkacat", "fitsverify", "fitscopy", "fitsinfo", "go", "node", "npm", "java", "javac", "mvn"),
    *("helm", "promtool", "kubectl", "kind", "docker", "podman", "make", "curl", "openssl"),
}
_MODULES = {"subprocess", "shutil", "os", "asyncio"}
_RUN = {"run", "Popen", "call", "check_call", "check_output", "create_subprocess_exec", "which", "system"}


def programs_by_name(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each program that is run, or looked for, by a name written out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args:
            name = _first_word(node.args[0])
            if name is not None and _runs(node.func) and name not in _ALWAYS_THERE:
                yield node.lineno, name
        elif isinstance(node, ast.List):  # a command put together before it is run
            name = _first_word(node)
            if name in _FOREIGN and not _is_nowhere(node):
                yield node.lineno, name


def _runs(called: ast.expr) -> bool:
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return called.value.id in _MODULES and called.attr in _RUN
    return isinstance(called, ast.Name) and called.id in {"Popen", "which"}


def _is_nowhere(command: ast.List) -> bool:
    """A path that is made to be missing is no program of the machine's."""
    return isinstance(command.elts[0], ast.Constant) and str(command.elts[0].value).startswith("/no/such/")


def _first_word(node: ast.expr) -> str | None:
    if isinstance(node, ast.List | ast.Tuple) and node.elts:
        node = node.elts[0]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.split()[0].rpartition("/")[2] if node.value.split() else None
    return None


def test_tests_run_no_program_of_the_machine_s_by_name():
    found = [
        f"{path.relative_to(TESTS)}:{line} {name}"
        for path in sorted(TESTS.rglob("*.py"))
        if path.relative_to(TESTS).parts[0] not in _MAY_RUN_FOREIGN
        for line, name in programs_by_name(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'subprocess.run(["kcat", "-P"], check=True)',
        'subprocess.Popen("/usr/bin/kcat -P", shell=True)',
        'command = ["kcat", "-L"]',
        'shutil.which("kcat")',
        'asyncio.create_subprocess_exec("kcat")',
    ],
)
def test_such_a_call_is_seen(source):
    assert {name for _, name in programs_by_name(source)} == {"kcat"}


def test_our_own_interpreter_is_no_such_program():
    assert list(programs_by_name("subprocess.run([sys.executable, '-m', 'trapline'])")) == []
