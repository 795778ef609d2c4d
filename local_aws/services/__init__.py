# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The extensions, one module a service.

A module may define `install()` (patches moto, called once), `dump(account, region)` (the service's state as JSON-able data) and
`SERVICE` (its name in dumps, default the module's name). A module with a WSGI `application` answers its service instead of moto.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType
from typing import Any


@functools.cache
def modules() -> tuple[ModuleType, ...]:
    """Every module of this package, imported, by name."""
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}") for name in names)


@functools.cache
def install() -> None:
    """Patch moto with every extension; a second call does nothing."""
    for module in modules():
        if hasattr(module, "install"):
            module.install()


@functools.cache
def application(service: str | None) -> Any:
    """What answers a service instead of moto, or None."""
    return next((module.application for module in modules() if name_of(module) == service and hasattr(module, "application")), None)


def name_of(module: ModuleType) -> str:
    """The service that a module extends, as botocore spells it."""
    return getattr(module, "SERVICE", module.__name__.rpartition(".")[2])
