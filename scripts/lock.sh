#!/bin/sh
# Pins requirements.in with hashes for every platform and every Python >= 3.12; no index and no download host is written.
set -eu
cd "$(dirname "$0")/.."
export UV_NATIVE_TLS=1
if [ ! -x .venv/bin/uv ]; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'
fi
.venv/bin/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-header --output-file requirements.lock "$@" requirements.in
.venv/bin/python scripts/check_files.py requirements.lock
scripts/setup.sh
