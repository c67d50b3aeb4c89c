"""docs/security.md says what the code does."""

import re

from runtime.settings import TraplineSettings
from tests.support.rights_table import PAGE, with_table


def test_its_table_of_rights_is_that_of_the_code():
    page = PAGE.read_text()
    assert page == with_table(page), "python -m tests.support.rights_table"


def test_its_settings_exist():
    fields = {f"TRAPLINE_{name.upper()}" for name in TraplineSettings.model_fields}
    named = set(re.findall(r"TRAPLINE_[A-Z_]+[A-Z]", PAGE.read_text()))
    assert len(named) > 10
    assert named <= fields
