#!/bin/sh
# scripts/test.sh [STAGE...]: runs the checks, cheapest first, stops at the first failure and always ends with the seconds of each stage.
# Without a stage it runs all of them, those that keep one core busy side by side (+stage: begin it in the background, -stage: its end).
set -eu
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" ANSIBLE_CONFIG="$PWD/ansible.cfg" ANSIBLE_HOME="$PWD/.ansible"
export ANSIBLE_COLLECTIONS_PATH="$PWD/.ansible/collections"
# Hundreds of processes are started here: without compiled files each would compile Ansible and botocore for itself (over 1 s of 6).
unset PYTHONDONTWRITEBYTECODE
[ $# -gt 0 ] || set -- +sanity,fault lint docs unit -sanity,fault +molecule e2e -molecule

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
    e2e) scripts/mariadb.sh && pytest -q -n 2 --dist loadgroup tests/e2e ;;
    molecule) molecule test --all --no-command-borders ;;
    *,*)
      for part in $(echo "$1" | tr , ' '); do
        run "$part" || return
      done
      ;;
    *) echo "No stage is called $1." >&2 && return 2 ;;
  esac
}

status=0
table=
other=
log=$(mktemp)
trap 'rm -f "$log" "$log.end"; [ ! "$other" ] || kill "$other" 2>/dev/null || true' EXIT
first=$(date +%s)
for step; do
  stage=${step#[+-]}
  result=ok
  case $step in
    +*)
      began=$(date +%s)
      (if run "$stage"; then code=0; else code=$?; fi; date +%s >"$log.end"; exit $code) >"$log" 2>&1 &
      other=$!
      continue
      ;;
    -*)
      printf '\n== %s\n' "$stage"
      start=$began
      wait "$other" || status=$?
      other=
      cat "$log"
      end=$(cat "$log.end")
      ;;
    *)
      printf '\n== %s\n' "$stage"
      start=$(date +%s)
      run "$stage" || status=$?
      end=$(date +%s)
      ;;
  esac
  [ $status = 0 ] || result=FAILED
  table="$table$(printf '%-14s %5d s  %s' "$stage" $((end - start)) $result)
"
  [ $status = 0 ] || break
done
printf '\n%s%-14s %5d s\n' "$table" total $(($(date +%s) - first))
exit $status
