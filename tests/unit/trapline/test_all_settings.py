import importlib
import pkgutil
from pathlib import Path

import pytest

import trapline
from runtime.settings import ProcessSettings, TraplineSettings
from trapline.all_settings import KNOWN_SETTINGS

ROOMS = ("runtime", "audit", "connector", "grouper", "consumer", "emulator", "trapline")
HOME = Path(trapline.__file__).parent.parent


def all_subclasses(cls):
    for sub in cls.__subclasses__():
        yield sub
        yield from all_subclasses(sub)


def test_every_settings_class_is_known():
    for room in ROOMS:
        for module in pkgutil.walk_packages([str(HOME / room)], f"{room}."):
            if "settings" in module.name:
                importlib.import_module(module.name)
    ours = {
        cls
        for cls in all_subclasses(ProcessSettings)
        if cls.__module__.split(".")[0] in ROOMS and cls is not TraplineSettings
    }
    assert {cls.__name__ for cls in ours} == {cls.__name__ for cls in KNOWN_SETTINGS}


def test_one_name_means_one_thing_in_all_processes():
    seen = {}
    for cls in KNOWN_SETTINGS:
        for name, field in cls.model_fields.items():
            kind, default = seen.setdefault(name, (field.annotation, field.default))
            assert (field.annotation, field.default) == (kind, default), f"{cls.__name__}.{name}"


@pytest.mark.parametrize("cls", KNOWN_SETTINGS)
def test_every_setting_says_what_it_is(cls):
    for name, field in cls.model_fields.items():
        assert field.description, f"{cls.__name__}.{name}"
