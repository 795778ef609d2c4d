# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""STS: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole


@read("ask AWS who is calling")
def get_caller_identity(client: t.Any) -> dict[str, t.Any]:
    return whole(client.get_caller_identity(), ("Account", "Arn"), "GetCallerIdentity")
