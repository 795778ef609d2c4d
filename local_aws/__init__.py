# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A local AWS of three accounts for the demo, the tests and Molecule: a moto server with the behaviour moto lacks."""

from __future__ import annotations

from local_aws.launch import LocalAWS

__all__ = ["LocalAWS"]
