#!/bin/sh
# Makes .venv from requirements.lock and links this checkout where Ansible looks for bbws.platform. Done in no time when it is so already.
set -eu
cd "$(dirname "$0")/.."

# What .venv was made from. The folder is part of it: a virtual environment can't be moved.
state="$(cksum requirements.lock scripts/setup.sh) $PWD"
stamp=.venv/.made-from
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
  exit 0
fi

fits() {
  "$1" -c 'import sys, venv, ensurepip; sys.version_info >= (3, 12) or sys.exit(1); print(sys._base_executable)' 2>/dev/null
}
# The base interpreter is named, not a virtual environment that is active and may be the one about to be replaced. A pyenv shim answers 127 for a version that is not active, so pyenv's own folders are tried too.
find_python() {
  for candidate in "${PYTHON:-}" python3.13 python3.12 python3.14 python3 \
    "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[2-9].*/bin/python; do
    if [ -n "$candidate" ] && fits "$candidate"; then
      return
    fi
  done
}

# Everything is said on stderr: stdout belongs to the command that needed the set-up (make -s local-aws).
if ! fits .venv/bin/python >/dev/null || [ "$(sed 's/.* //' "$stamp" 2>/dev/null)" != "$PWD" ]; then
  python=$(find_python)
  if [ -z "$python" ]; then
    echo "Python 3.12 or newer with its venv module is needed: install it, or say where it is, as in 'make demo PYTHON=/path/to/python3.12'." >&2
    exit 1
  fi
  echo "Setting up .venv with $("$python" -V), once: half a minute to two minutes" >&2
  rm -rf .venv
  "$python" -m venv .venv
else
  echo "Bringing .venv up to date with requirements.lock" >&2
fi
rm -f "$stamp"

# uv only makes this faster; plain pip does the same, and knows an index that is set in pip's own configuration.
# A company's own certificates are in the machine's store, at which uv looks only when told so.
export UV_NATIVE_TLS=1
pip() {
  .venv/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input "$@"
}
{
  pip install 'uv>=0.9' 2>/dev/null && .venv/bin/uv pip sync --quiet --python .venv/bin/python requirements.lock 2>/dev/null
} || pip install --require-hashes -r requirements.lock >&2

# Found from any folder by ansible, python, pytest and molecule alike ...
site_packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$site_packages/ansible_collections/bbws" .ansible/collections/ansible_collections/bbws
ln -sfn "$PWD" "$site_packages/ansible_collections/bbws/platform"
# ... and before any copy in ~/.ansible, where ansible-lint and molecule put theirs unless they find this link.
ln -sfn ../../../.. .ansible/collections/ansible_collections/bbws/platform
echo "$state" >"$stamp"
