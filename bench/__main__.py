# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""python -m bench [NAME...]: measure, and print what docs/benchmarks.md quotes."""

from __future__ import annotations

import sys

from bench import lambda_rollback, lambda_services, tenant_life, tenants

BENCHES = {"lambda": lambda_services.main, "rollback": lambda_rollback.main, "tenants": tenants.main, "tenant-life": tenant_life.main}


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        print(f"There is no {', '.join(unknown)}; there are {', '.join(BENCHES)}.", file=sys.stderr)
        return 2
    for name in names or BENCHES:
        print(f"## {name}\n", flush=True)
        BENCHES[name]()
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
