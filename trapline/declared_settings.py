"""Declares the settings of all processes, and imports them only where a key is met that asks for it.

All rooms with their settings take 0.2 s of processor time to import: a quarter of a short verb's own.
"""

from collections.abc import Collection
from importlib import import_module

from runtime.settings import ProcessSettings, declare_settings


def _all_settings() -> Collection[type[ProcessSettings]]:
    known: tuple[type[ProcessSettings], ...] = import_module("trapline.all_settings").KNOWN_SETTINGS
    return known


declare_settings(_all_settings)
