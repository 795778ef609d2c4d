#!/bin/sh
# Makes .venv from requirements.lock and links this checkout where Ansible looks for bbws.platform. Run it again at will.
set -eu
cd "$(dirname "$0")/.."

# A pyenv shim answers 127 for a version that is not active, so pyenv's own folders are tried too.
find_python() {
  for candidate in "${PYTHON:-}" python3.13 python3.12 python3.14 python3 \
      "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9].*/bin/python; do
    [ -n "$candidate" ] || continue
    if path=$("$candidate" -c 'import sys, venv, ensurepip; print(sys.executable); sys.exit(sys.version_info < (3, 12))' 2>/dev/null); then
      echo "$path"
      return
    fi
  done
}

if [ ! -x .venv/bin/python ]; then
  python=$(find_python)
  if [ -z "$python" ]; then
    echo "Python 3.12 or newer with its venv module is needed: install it, or say where it is with PYTHON=/path/to/python3.12 make ..." >&2
    exit 1
  fi
  echo "Setting up .venv with $("$python" -V) (once, about half a minute)"
  "$python" -m venv .venv
fi
# uv only makes this faster; plain pip does the same.
if .venv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9' 2>/dev/null; then
  .venv/bin/uv pip sync --quiet --python .venv/bin/python requirements.lock
else
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
fi

# Found from any folder by ansible, python, pytest and molecule alike ...
site_packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$site_packages/ansible_collections/bbws" .ansible/collections/ansible_collections/bbws
ln -sfn "$PWD" "$site_packages/ansible_collections/bbws/platform"
# ... and before any copy in ~/.ansible, where ansible-lint and molecule put theirs unless they find this link.
ln -sfn ../../../.. .ansible/collections/ansible_collections/bbws/platform
touch .ansible/ready
