# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds the sample portal in `examples/portal`, as a bundler would: files with a fingerprint in their name, and others without."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "examples" / "portal"


def build(folder: Path, release: str, broken: bool = False) -> None:
    """Write a release into `folder`; a `broken` one shows nothing, because its page lacks what its script fills."""
    page = (SOURCE / "index.html").read_text().replace("@RELEASE@", release)
    script = (SOURCE / "main.js").read_bytes()
    chunk = f"// release {release}\n".encode()
    if broken:
        page = page.replace('id="app"', 'id="ap"')
    files = {
        "404.html": (SOURCE / "404.html").read_bytes(),
        "assets/main.css": (SOURCE / "main.css").read_bytes(),
        "assets/main.js": script,
        "assets/main.js.map": b"{}",
        f"assets/release-{hashlib.sha256(chunk).hexdigest()[:12]}.js": chunk,
        "assets/logo.png": logo(),
        "index.html": page.encode(),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def logo(size: int = 64) -> bytes:
    """A PNG: two colours and a diagonal."""
    rows = b"".join(b"\0" + b"".join(b"\xf2\xa9\x3b" if x > y else b"\x2f\x7f\xb5" for x in range(size)) for y in range(size))
    parts = ((b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
