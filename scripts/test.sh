#!/bin/sh
# scripts/test.sh [STAGE...]: runs the checks, cheapest first, stops at the first failure and always ends with the seconds of each stage.
set -eu
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" ANSIBLE_CONFIG="$PWD/ansible.cfg" ANSIBLE_HOME="$PWD/.ansible"
export ANSIBLE_COLLECTIONS_PATH="$PWD/.ansible/collections"
[ $# -gt 0 ] || set -- lint docs sanity unit fault e2e molecule

run() {
  case $1 in
    lint)
      ruff check --quiet . && ruff format --check --quiet . && python scripts/check_files.py && shellcheck scripts/*.sh .ci/run &&
        antsibull-changelog lint && ansible-lint --profile production --offline
      ;;
    docs)
      # antsibull-docs copies only what git knows; it must not take amazon.aws, below .venv, for a part of this repository.
      python scripts/traceability.py --check && GIT_CEILING_DIRECTORIES=$PWD antsibull-docs lint-collection-docs --plugin-docs .
      ;;
    sanity) scripts/sanity.sh ;;
    unit) pytest -q -n 2 --dist loadfile tests/unit tests/local_aws ;;
    fault) pytest -q tests/fault ;;
    e2e) pytest -q tests/e2e ;;
    molecule) molecule test --all --no-command-borders ;;
    *) echo "No stage is called $1." >&2 && return 2 ;;
  esac
}

status=0
table=
first=$(date +%s)
for stage; do
  printf '\n== %s\n' "$stage"
  start=$(date +%s)
  if run "$stage"; then result=ok; else status=$? result=FAILED; fi
  table="$table$(printf '%-8s %5d s  %s' "$stage" $(($(date +%s) - start)) $result)
"
  [ $status = 0 ] || break
done
printf '\n%s%-8s %5d s\n' "$table" total $(($(date +%s) - first))
exit $status
