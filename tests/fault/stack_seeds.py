# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The states that promotions of the event handler's stack start in, with nothing else around it."""

from __future__ import annotations

from typing import Any

from local_aws import stacks
from local_aws.seeds_lambda import create_roles


def _stacks(aws: Any, dev: list[str], sit: list[str]) -> None:
    create_roles()
    for env, releases in (("dev", dev), ("sit", sit)):
        stacks.create_bucket(aws, env)
        for release in releases:
            stacks.deploy_stack(aws, env, release)


def first(aws: Any) -> None:
    """DEV has a stack, SIT none yet."""
    _stacks(aws, ["1.0.0", "1.1.0"], [])


def following(aws: Any) -> None:
    """DEV is one release ahead of SIT."""
    _stacks(aws, ["1.0.0", "1.1.0"], ["1.0.0"])


def equal(aws: Any) -> None:
    """SIT has what DEV has."""
    _stacks(aws, ["1.0.0"], ["1.0.0"])


def sick(aws: Any) -> None:
    """DEV offers a release whose health check fails."""
    _stacks(aws, ["1.0.0", "bad-health"], ["1.0.0"])
