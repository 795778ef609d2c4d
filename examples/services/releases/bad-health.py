# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release whose health check fails."""

import web

VERSION = "bad-health"


def wrap(handler):
    def answer(event, context):
        if event.get("path") == "/health":
            return web.answer(503, {"status": "unhealthy", "release": VERSION, "reason": "The tenant registry can't be reached"})
        return handler(event, context)

    return answer
