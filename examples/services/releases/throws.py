# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release that is healthy and fails at ordinary work."""

VERSION = "throws"


def wrap(handler):
    def answer(event, context):
        if event.get("path") != "/health":
            raise KeyError("tenant_registry_table")
        return handler(event, context)

    return answer
