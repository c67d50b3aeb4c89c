import subprocess
import sys
from pathlib import Path

import pytest

import trapline
from trapline.rooms import ROOMS, HiddenRoomError, check_rooms

HOME = Path(trapline.__file__).parent.parent


def test_our_own_rooms_pass():
    check_rooms(HOME)


def test_a_room_that_is_not_there(tmp_path):
    with pytest.raises(HiddenRoomError, match="hides trapline's own package"):
        check_rooms(tmp_path)


def import_beside(folder):
    return subprocess.run(
        [sys.executable, "-c", "import trapline; print('imported', 'consumer' in __import__('sys').modules)"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_nothing_is_hidden_and_nothing_imported(tmp_path):
    assert import_beside(tmp_path).stdout == "imported False\n"


@pytest.mark.parametrize("room", ROOMS)
def test_a_file_of_the_user_s_that_hides_a_room_is_named(tmp_path, room):
    mine = tmp_path / f"{room}.py"
    mine.write_text("raise RuntimeError('imported')\n")
    done = import_beside(tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("trapline.rooms.HiddenRoomError: ")
    assert str(mine) in last
    assert "rename it" in last


def test_a_folder_of_the_user_s_that_hides_a_room_is_named(tmp_path):
    mine = tmp_path / "schemas"
    mine.mkdir()
    (mine / "__init__.py").touch()
    assert str(mine) in import_beside(tmp_path).stderr.splitlines()[-1]


def test_the_user_s_own_script_with_a_room_s_name(tmp_path):
    script = tmp_path / "consumer.py"
    script.write_text("from trapline import TraplineError\n")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert str(script) in done.stderr.splitlines()[-1]


def test_a_folder_without_init_hides_nothing(tmp_path):
    (tmp_path / "schemas").mkdir()
    assert import_beside(tmp_path).returncode == 0
