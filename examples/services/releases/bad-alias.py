# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release that works by its version number and through the alias it was developed with, and through no other."""

import web

VERSION = "bad-alias"
SETTINGS = {"latest-dev": {"log_level": "debug"}}


def wrap(handler):
    def answer(event, context):
        alias = context.invoked_function_arn.split(":")[7:]
        if alias and alias[0] not in SETTINGS and alias[0] != context.function_version:
            return web.answer(500, {"status": "unhealthy", "release": VERSION, "reason": f"There are no settings for {alias[0]}"})
        return handler(event, context)

    return answer
