# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States that only these tests start in."""

from __future__ import annotations

from local_aws.seeds import Seeding
from local_aws.seeds_lambda import TENANT, everywhere
from local_aws.seeds_promotion import services


def one_of_four_is_bad(aws: Seeding) -> None:
    """DEV offers good site functions, but a plugins service that fails through SIT's alias only; templates is up to date."""
    sit = everywhere("1.0.0") | {"templates_service": ["1.0.0", "1.1.0"]}
    dev = everywhere("1.0.0", "1.1.0") | {"plugins_service": ["1.0.0", "bad-alias"]}
    services(aws, sit=sit, dev=dev)


def one_is_new(aws: Seeding) -> None:
    """DEV is one release ahead of SIT with the tenant service, and with nothing else."""
    services(aws, sit=everywhere("1.0.0"), dev=everywhere("1.0.0") | {TENANT: ["1.0.0", "1.1.0"]})
