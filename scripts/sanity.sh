#!/bin/sh
# ansible-test sanity with every test and no ignore file, on what Galaxy is given (build_ignore in galaxy.yml leaves out the rest, which ruff
# and ansible-lint check). Only pslint never has a file to look at: there is no PowerShell here.
# ansible-test runs nowhere but in .../ansible_collections/bbws/platform and takes the real path of a link, so it gets a copy.
# The copy is outside this checkout: in an ignored folder of it, ansible-test would find no file and pass.
set -eu
cd "$(dirname "$0")/.."
checkout=$PWD
export PATH="$checkout/.venv/bin:$PATH"
if [ -n "$(find tests/sanity -name 'ignore*.txt' 2>/dev/null)" ]; then
  echo "An ignore file in tests/sanity hides what sanity finds: correct the code instead." >&2
  exit 1
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
copy=$tmp/ansible_collections/bbws/platform
mkdir -p "$copy"
# tar complains about a file that is deleted but not yet committed as deleted, and goes on.
git ls-files -z --cached --others --exclude-standard -- . ':!bench' ':!examples' ':!extensions' ':!local_aws' ':!scripts' ':!tests/*/**' |
  tar --null -cf - -T - 2>/dev/null | tar -xf - -C "$copy"
# The documentation fragments that ours extend must be in the same tree.
installed=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ansible_collections
for needed in amazon community; do
  mkdir "$tmp/ansible_collections/$needed"
  ln -s "$installed/$needed/aws" "$tmp/ansible_collections/$needed/aws"
done

# ansible-test passes only HOME on to pip: the caches go into the checkout, and pip's configuration comes along.
pyenv=${PYENV_ROOT:-${HOME:-}/.pyenv}
home=$checkout/.ansible/home
mkdir -p "$home/.config/pip" "$home/.ansible/test/cache"
{
  printf '[global]\nquiet = 2\n'
  python -m pip config list | sed -n "s/^.*\.\([a-z-]*\)='\(.*\)'\$/\1 = \2/p" | sed 's/\\n/ /g' | sort -u -k 1,1
} >"$home/.config/pip/pip.conf"
export HOME="$home"
# It would fetch get-pip.py from a server of its own; the pip that comes with Python does as well.
pip_version=$(sed -n "s/^ *pip='\([0-9.]*\)'.*/\1/p" "$installed/../ansible_test/_internal/python_requirements.py")
printf 'import ensurepip\n\nensurepip.bootstrap()\n' >"$HOME/.ansible/test/cache/get_pip_$(echo "$pip_version" | tr . _).py"

cd "$copy"
python_version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ansible-test sanity --color no --python "$python_version" "$@"
[ $# = 0 ] || exit 0

# The plugins must also compile in the other Pythons that ansible-core runs in, as far as this machine has them.
for other in 3.12 3.13 3.14; do
  for candidate in "python$other" "$pyenv/versions/$other".*/bin/python; do
    if [ $other != "$python_version" ] && path=$("$candidate" -c 'import sys, venv; print(sys._base_executable)' 2>/dev/null); then
      PATH="$(dirname "$path"):$PATH" ansible-test sanity --color no --python $other --test compile
      break
    fi
  done
done
