# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The reads of a promotion with nothing to do, by bare boto3: floor_lambda.py FUNCTIONS."""

from __future__ import annotations

import sys

import boto3

target, source = (boto3.Session(profile_name=f"bbws-{env}").client("lambda") for env in ("sit", "dev"))
for number in range(1, int(sys.argv[1]) + 1):
    name = f"bbws-bench-{number:02}"
    target.get_function(FunctionName=f"{name}-sit")
    target.list_aliases(FunctionName=f"{name}-sit")
    target.list_versions_by_function(FunctionName=f"{name}-sit")
    version = source.get_alias(FunctionName=f"{name}-dev", Name="latest-dev")["FunctionVersion"]
    source.get_function(FunctionName=f"{name}-dev", Qualifier=version)
