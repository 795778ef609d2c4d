# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the deployment packages of the sample services in `examples/services`.

`python -m local_aws.packages SERVICE [RELEASE]` writes a package to standard output.
"""

from __future__ import annotations

import functools
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent.parent / "examples" / "services"


@functools.cache
def services() -> dict[str, str]:
    """The pattern of each service's function name, by service."""
    return yaml.safe_load((FOLDER / "services.yml").read_text())


def function_name(service: str, env: str) -> str:
    """The name of a service's function in `env` (`dev`, `sit`, `prod`)."""
    return services()[service].format(env=env)


def releases() -> list[str]:
    """The releases a package can be made of."""
    return sorted(path.stem for path in (FOLDER / "releases").glob("*.py"))


def smoke(service: str) -> list[dict[str, Any]]:
    """The service's smoke events: name, payload, expected_status, read_only."""
    return yaml.safe_load((FOLDER / service / "smoke.yml").read_text())


@functools.cache
def package(service: str, release: str = "1.0.0") -> bytes:
    """A service's package as a zip file, the same bytes each time. Raises LookupError for an unknown service or release."""
    if service not in services() or release not in releases():
        raise LookupError(f"There is no {service} {release}; services: {', '.join(services())}; releases: {', '.join(releases())}")
    files = {path.name: path for folder in (FOLDER / "shared", FOLDER / service) for path in folder.glob("*.py")}
    files["release.py"] = FOLDER / "releases" / f"{release}.py"
    return zipped({name: path.read_bytes() for name, path in files.items()})


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip file of `files` that depends on nothing else: no times, no compression library, no order."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, files[name])
    return target.getvalue()


def main(arguments: list[str]) -> int:
    """Writes the package named on the command line; the exit code."""
    if len(arguments) not in (1, 2):
        print((__doc__ or "").splitlines()[-1], file=sys.stderr)
        return 2
    try:
        sys.stdout.buffer.write(package(*arguments))
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
