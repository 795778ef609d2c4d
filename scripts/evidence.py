# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""python -m scripts.evidence FILE [COVERAGE]: writes what CI leaves after the quality checks, for demos and tests."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import sys
from pathlib import Path

from local_aws import packages

CHECKS = {
    "unit": "pytest --cov=src --cov-fail-under=80",
    "lint": "ruff check src/ tests/",
    "types": "mypy src/",
    "security": "bandit -r src/",
    "integration": "pytest tests/integration/ -v --tb=short",
}


def write(path: Path, coverage: float = 91) -> Path:
    """All checks of every release in examples/services passed some minutes ago, with this coverage in percent."""
    at = dt.datetime.now(dt.UTC)
    checks: dict[str, dict[str, object]] = {
        name: {"finished_at": (at - dt.timedelta(minutes=10 - n)).isoformat(), "commands": [{"command": command, "exit_code": 0}]}
        for n, (name, command) in enumerate(CHECKS.items())
    }
    checks["unit"]["coverage"] = coverage
    path.parent.mkdir(parents=True, exist_ok=True)
    built = [packages.package(service, release) for service in packages.services() for release in packages.releases()]
    digests = sorted({base64.b64encode(hashlib.sha256(package).digest()).decode() for package in built})
    path.write_text(json.dumps({"release": "1.1.0", "packages": digests, "checks": checks}, indent=2))
    return path


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(float, sys.argv[2:]))
