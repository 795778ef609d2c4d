#!/bin/sh
# scripts/test.sh [STAGE...]: runs the checks, cheapest first, stops at the first failure and always ends with the seconds of each stage.
# Without a stage it runs all of them, the fault tests beside the end-to-end tests and Molecule: each keeps one core busy.
set -eu
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" ANSIBLE_CONFIG="$PWD/ansible.cfg" ANSIBLE_HOME="$PWD/.ansible"
export ANSIBLE_COLLECTIONS_PATH="$PWD/.ansible/collections"
beside=
[ $# -gt 0 ] || { beside=fault && set -- lint docs sanity unit e2e molecule fault; }

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
other=
log=$(mktemp)
trap 'rm -f "$log" "$log.end"; [ ! "$other" ] || kill "$other" 2>/dev/null || true' EXIT
first=$(date +%s)
for stage; do
  start=$(date +%s)
  if [ "$beside" ] && [ "$stage" = e2e ]; then
    (if run "$beside"; then code=0; else code=$?; fi; date +%s >"$log.end"; exit $code) >"$log" 2>&1 &
    other=$!
    began=$start
  fi
  printf '\n== %s\n' "$stage"
  result=ok
  if [ "$stage" = "$beside" ]; then
    start=$began
    wait "$other" || status=$?
    other=
    cat "$log"
    end=$(cat "$log.end")
  else
    run "$stage" || status=$?
    end=$(date +%s)
  fi
  [ $status = 0 ] || result=FAILED
  table="$table$(printf '%-8s %5d s  %s' "$stage" $((end - start)) $result)
"
  [ $status = 0 ] || break
done
printf '\n%s%-8s %5d s\n' "$table" total $(($(date +%s) - first))
exit $status
