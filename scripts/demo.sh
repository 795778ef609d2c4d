#!/bin/sh
# scripts/demo.sh COMMAND...: runs the command on the background local AWS, which is started if none runs, and leaves it running.
set -eu
cd "$(dirname "$0")/.."
exports=$(.venv/bin/python -m local_aws start --seed dev-release)
eval "$exports"
.venv/bin/python -m scripts.evidence evidence/dev.json # what CI leaves after the quality checks
echo "A local AWS runs in the background (state in .local-aws); it started with a release in DEV and an empty SIT."
echo "The production command is: $*"
echo
status=0
"$@" || status=$?
cat <<'END'

Look at it: eval "$(make -s local-aws)"; AWS_PROFILE=bbws-sit aws lambda list-aliases --function-name bbws-tenant-instance-management-sit
Run 'make demo' again and nothing changes; 'make local-aws-stop' ends the local AWS and forgets its state.
END
exit $status
