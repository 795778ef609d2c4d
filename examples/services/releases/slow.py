# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release that takes longer than the three seconds its function is given."""

import time

VERSION = "slow"


def wrap(handler):
    def answer(event, context):
        time.sleep(4)
        return handler(event, context)

    return answer
