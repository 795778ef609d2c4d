# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Command line: `python -m local_aws start|stop|status|run|seeds|signatures`."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from local_aws import accounts
from local_aws.launch import ROOT, Failed, LocalAWS, Remote, read_state, spawn, wait_until_gone


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_aws", description="A local AWS of three accounts (dev, sit, prod).")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, sentence: str | None, *options: str) -> argparse.ArgumentParser:
        # Without a sentence it isn't listed: only this package starts it.
        one = commands.add_parser(name, description=sentence, **({"help": sentence} if sentence else {}))
        one.set_defaults(run=run)
        if "seed" in options:
            one.add_argument("--seed", default="empty", help="the state to start in (default: %(default)s)")
            one.add_argument(
                "--metrics-delay", type=float, default=60.0, metavar="S", help="seconds until metrics show (default: %(default)s)"
            )
        if "state" in options:
            one.add_argument(
                "--state-dir", type=Path, default=ROOT / ".local-aws", metavar="DIR", help="default: .local-aws in the checkout"
            )
        return one

    command("start", _start, "Start it in the background and print export lines for the shell's eval.", "seed", "state")
    command("stop", _stop, "End the one in the background.", "state")
    command("status", _status, "Say where it runs.", "state")
    run = command("run", _run, "Start it, run a command on it, end it, and exit with the command's code.", "seed")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")
    command("seeds", _seeds, "List the states it can start in.")
    command("signatures", _signatures, "Print the table of moto's methods that the extensions override, as JSON.")
    command("serve", _serve, None, "seed", "state")
    command("nursery", _nursery, None)
    return parser


def _running(state_dir: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError, RuntimeError, http.client.HTTPException):
        about = read_state(state_dir)
        # Another server may have got the port of one that was killed.
        if Remote(about["url"]).control("GET", "status") == about:
            return about
    return None


def _exports(state_dir: Path) -> str:
    found = accounts.environment(state_dir.resolve()) | {
        "ANSIBLE_HOME": str(ROOT / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in found.items()]
    lines.append(f'export PATH={shlex.quote(str(ROOT / ".venv" / "bin"))}:"$PATH"')
    return "\n".join([*lines, f"unset {' '.join(accounts.UNSET)}"])


def _start(args: argparse.Namespace) -> int:
    about = _running(args.state_dir)
    if about:
        print(f"A local AWS with the seed {about['seed']} already runs at {about['url']}.", file=sys.stderr)
    else:
        spawn(args.seed, args.metrics_delay, args.state_dir)
    print(_exports(args.state_dir))
    return 0


def _stop(args: argparse.Namespace) -> int:
    about = _running(args.state_dir)
    if not about:
        print("No local AWS runs.", file=sys.stderr)
        return 0
    os.kill(about["pid"], signal.SIGTERM)
    wait_until_gone(about["url"])
    (args.state_dir / "server.json").unlink(missing_ok=True)
    return 0


def _status(args: argparse.Namespace) -> int:
    about = _running(args.state_dir)
    print(f"running at {about['url']}, pid {about['pid']}, seed {about['seed']}" if about else "not running")
    return 0 if about else 3


def _run(args: argparse.Namespace) -> int:
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        print("Give a command after --.", file=sys.stderr)
        return 2
    with LocalAWS(args.seed, args.metrics_delay) as aws:
        command = subprocess.Popen(words, env=aws.environ)
        # Ctrl-C goes to the command too, and it decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return command.wait()


def _seeds(args: argparse.Namespace) -> int:
    from local_aws import seeds

    for name, found in seeds.all_seeds().items():
        print(f"{name:24} {found.sentence}")
    return 0


def _signatures(args: argparse.Namespace) -> int:
    from local_aws import patching, services

    services.install()
    print(json.dumps(patching.SIGNATURES, indent=2, sort_keys=True))
    return 0


def _serve(args: argparse.Namespace) -> int:
    from local_aws import template

    try:
        template.run(args.seed, args.metrics_delay, args.state_dir, attached=False)
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    return 0


def _nursery(args: argparse.Namespace) -> int:
    from local_aws import nursery

    nursery.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
