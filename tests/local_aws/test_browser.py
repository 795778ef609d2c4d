# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Chromium on the local edge; `make demo-edge` shows the whole portal."""

from __future__ import annotations

import pytest

from local_aws import LocalAWS, browser
from local_aws.seeds_edge import PORTAL
from tests import edge_kit
from tests.local_aws.test_cloudfront import put, served


@pytest.mark.skipif(not browser.is_here(), reason=browser.MISSING)
@pytest.mark.seed(edge_kit.SEED, metrics_delay=0)
def test_a_browser_opens_a_deep_link_without_an_error_and_is_asked_to_sign_in(aws: LocalAWS) -> None:
    arns = edge_kit.arns()
    viewer, _ident = served(aws, functions={"viewer-request": arns["auth-validation"], "origin-request": arns["url-rewrite"]})
    put(aws, "index.html", b"<link rel=icon href=data:,><script src=/main.js></script><p>home</p>", "text/html", "no-cache")
    with browser.browser({PORTAL: viewer.ports["https"]}, browser.key_digest(PORTAL, viewer.ports["https"])) as window:
        window.open(f"https://{PORTAL}/orders")
        assert "Please sign in" in window.text()
        window.log("browser")
        window.cookie("session", edge_kit.token(aws))
        window.open(f"https://{PORTAL}/orders")
        assert window.text() == "home"
        # The page that asked to sign in names no icon, so the browser asks for one, in its own time.
        errors = [entry["message"] for entry in window.log("browser") if entry["level"] == "SEVERE"]
        assert [error for error in errors if "/favicon.ico" not in error] == []
        assert window.answers()[f"https://{PORTAL}/main.js"]["status"] == 200
