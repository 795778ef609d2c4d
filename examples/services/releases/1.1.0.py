# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The next release: answers also say which release gave them."""

VERSION = "1.1.0"


def wrap(handler):
    def answer(event, context):
        result = handler(event, context)
        if "headers" in result:
            result["headers"]["X-Release"] = VERSION
        return result

    return answer
