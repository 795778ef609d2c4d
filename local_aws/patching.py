# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How extensions override moto: one decorator that remembers what it overrode."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

SIGNATURES: dict[str, str] = {}
"""Full name and signature of every method of moto that an extension overrides, as moto has it."""


def replace(owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Override method or property `name` of the class (or module) `owner`.

    The decorated function gets the original as its first argument, then what the original would get. For a property, the
    original is its getter. A test compares `SIGNATURES` with a committed table, so a moto upgrade that changes one is seen.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        found = inspect.getattr_static(owner, name)
        is_property = isinstance(found, property)
        original = found.fget if is_property else getattr(owner, name)
        prefix = f"{owner.__module__}.{owner.__qualname__}" if inspect.isclass(owner) else owner.__name__
        SIGNATURES.setdefault(f"{prefix}.{name}", ("property " if is_property else "") + str(inspect.signature(original)))

        @functools.wraps(original)
        def override(*args: Any, **kwargs: Any) -> Any:
            return function(original, *args, **kwargs)

        wrapped = property(override, found.fset) if is_property else staticmethod(override) if isinstance(found, staticmethod) else override
        setattr(owner, name, wrapped)
        return function

    return decorate
