# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Promotes the portal to SIT, opens it in Chromium through the local edge, shows a bad release taken back, and checks all of it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from local_aws import LocalAWS, browser, portal
from local_aws.seeds_edge import CLIENT, ISSUER, PORTAL, WWW

PROMOTE = ["ansible-playbook", "playbooks/promote_edge.yml", "-i", "inventories/sit"]
PICTURES = Path(".local-aws") / "screenshots"


def token(key_pem: str) -> str:
    """A session of the pool that the functions trust."""
    key: Any = serialization.load_pem_private_key(key_pem.encode(), None)
    body = {"iss": ISSUER, "aud": CLIENT, "token_use": "id", "exp": int(time.time()) + 3600}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "RS256", "kid": "local"}, body)]
    signature = key.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


class Demo:
    """The local AWS, what was wrong so far, and the extra variables that a local edge needs."""

    def __init__(self, aws: LocalAWS, folder: Path, arguments: list[str]):
        self.aws, self.folder, self.arguments = aws, folder, arguments
        self.about = json.loads((aws.state_dir / "edge.json").read_text())
        self.ports = aws.edge()
        self.wrong: list[str] = []
        self.variables = folder / "variables.json"
        self.variables.write_text(
            json.dumps(
                {
                    "portal_aliases": [WWW],
                    "edge_site_certificate_arn": self.about["certificate_arn"],
                    "edge_functions_pool": self.about["pool"],
                    "edge_site_connect_to": f"127.0.0.1:{self.ports['https']}",
                    "edge_site_ca_path": str(aws.state_dir / "ca.pem"),
                    "edge_site_source": str(folder / "dist"),
                }
            )
        )

    def expect(self, holds: object, sentence: str) -> None:
        print(f"    {'yes' if holds else 'NO '}  {sentence}", flush=True)
        if not holds:
            self.wrong.append(sentence)

    def promote(self, story: str, code: int, *says: str) -> None:
        print(f"\n=== {story}\n    {' '.join(PROMOTE)} -e edge_site_source=dist\n", flush=True)
        command = [*PROMOTE, "-e", f"@{self.variables}", *self.arguments]
        run = subprocess.run(command, env=self.aws.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(run.stdout)
        told = " ".join(run.stdout.split())
        self.expect(run.returncode == code, f"ansible-playbook ends with {code} (it was {run.returncode})")
        for sentence in says:
            self.expect(" ".join(sentence.split()) in told, f"it says: {sentence}")

    def browse(self) -> None:
        """Headers, deep link, protected page without and with a token, 404, redirect, a hit on the second load, no console error."""
        spki = browser.key_digest(PORTAL, self.ports["https"])
        PICTURES.mkdir(parents=True, exist_ok=True)
        with browser.browser({PORTAL: self.ports["https"], WWW: self.ports["https"]}, spki) as window:
            window.open(f"https://{PORTAL}/")
            found = window.answers()
            home = found[f"https://{PORTAL}/"]
            self.expect("Welcome" in window.text(), "the browser shows the homepage")
            self.expect(
                home["headers"].get("x-frame-options") == "DENY" and "content-security-policy" in home["headers"], "with its headers"
            )
            window.screenshot(PICTURES / "home.png")
            window.open(f"https://{PORTAL}/products")
            self.expect("What you can order" in window.text(), "a deep link shows its page")
            window.screenshot(PICTURES / "products.png")
            again = {url: told for url, told in window.answers().items() if not told["from_disk"]}
            hits = [url for url, told in again.items() if told["headers"].get("x-cache") == "Hit from cloudfront"]
            self.expect(any("/assets/main.js" in url for url in hits), "the second load of /assets/main.js is a hit")
            self.expect([line for line in window.log("browser") if line["level"] == "SEVERE"] == [], "the console has no error")
            window.open(f"https://{PORTAL}/protected-page")
            self.expect("Please sign in" in window.text(), "the protected page asks to sign in")
            window.screenshot(PICTURES / "protected-without-token.png")
            window.cookie("session", token(self.about["signing_key"]))
            window.open(f"https://{PORTAL}/protected-page")
            self.expect("Only who has signed in" in window.text(), "with a token it is shown")
            window.screenshot(PICTURES / "protected-with-token.png")
            window.answers()
            window.open(f"https://{PORTAL}/assets/gone.js")
            told = window.answers()[f"https://{PORTAL}/assets/gone.js"]
            self.expect(told["status"] == 404 and "There is no such file" in window.text(), "a missing file is a 404 with its page")
            self.expect(told["headers"].get("x-frame-options") == "DENY", "which has the security headers too")
            window.screenshot(PICTURES / "missing.png")
            window.open(f"https://{WWW}/orders?from=www")
            self.expect(window.run("return location.href") == f"https://{PORTAL}/orders?from=www", "www goes to the portal's name")

    def served(self) -> str:
        """The release that the page names."""
        spki = browser.key_digest(PORTAL, self.ports["https"])
        with browser.browser({PORTAL: self.ports["https"]}, spki) as window:
            window.open(f"https://{PORTAL}/")
            window.screenshot(PICTURES / "after-the-bad-release.png")
            return window.run("return (document.querySelector('[data-release]') || document.body).dataset.release || ''")


def main(arguments: list[str]) -> int:
    if not browser.is_here():
        print(browser.MISSING, file=sys.stderr)
        return 2
    with LocalAWS(seed="edge", metrics_delay=0) as aws, tempfile.TemporaryDirectory() as folder:
        demo = Demo(aws, Path(folder), arguments)
        portal.build(Path(folder) / "dist", "1.0.0")
        demo.promote("The first promotion: functions, distribution, bucket policy, site, alarms, records, tests.", 0, "No check is NG.")
        demo.browse()
        demo.promote("Once more: nothing to do.", 0, "changed=0")
        portal.build(Path(folder) / "dist", "1.1.0", broken=True)
        demo.promote("A bad release: its page lacks what its script fills.", 2, "checks are NG", "Taken back to release")
        demo.expect(demo.served() == "1.0.0", "the browser shows release 1.0.0 again")
    told = f"The portal was promoted, seen in Chromium and a bad release taken back, each as expected; screenshots are in {PICTURES}."
    print("\n" + ("\n".join(f"NOT as expected: {problem}" for problem in demo.wrong) or told))
    return 1 if demo.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
