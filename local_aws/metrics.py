# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Metrics."""

from __future__ import annotations


class Store:
    """Metrics."""

    delay = 60.0


STORE = Store()
