# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs today."""

VERSION = "1.0.0"


def wrap(handler):
    return handler
