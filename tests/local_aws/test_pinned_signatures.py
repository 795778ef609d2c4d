# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the local AWS overrides in moto is still what it was written against."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_aws import patching, services

pytestmark = pytest.mark.local_aws


def test_every_overridden_method_of_moto_has_the_signature_it_had():
    """After a change that is meant: python -m local_aws signatures > tests/local_aws/signatures.json"""
    services.install()
    assert json.loads((Path(__file__).parent / "signatures.json").read_text()) == patching.SIGNATURES


def test_every_overriding_says_which_page_of_aws_it_follows():
    services.install()
    for module in services.modules():
        if hasattr(module, "install"):
            assert "https://docs.aws.amazon.com/" in Path(module.__file__).read_text(), module.__name__
