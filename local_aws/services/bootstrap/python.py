# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inside of a Python execution environment: loads one handler and answers events until its socket closes.

Run by `runtime.py` as `python -I python.py <socket fd> [search path ...]` in the folder of the unpacked package.
It imports nothing of this project, so that a handler sees what it would see in Lambda.
https://docs.aws.amazon.com/lambda/latest/dg/python-handler.html, python-context.html, python-exceptions.html
"""

import importlib
import json
import logging
import os
import socket
import sys
import time
import traceback


class Context:
    """What a handler gets as its second argument."""

    identity = None
    client_context = None

    def __init__(self, request):
        self.aws_request_id = request["request_id"]
        self.invoked_function_arn = request["arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline = request["deadline"]

    def get_remaining_time_in_millis(self):
        return max(0, round((self._deadline - time.time()) * 1000))

    def log(self, message):
        sys.stdout.write(str(message))


def problem(error_type, message, request_id="", trace=()):
    return {"errorMessage": message, "errorType": error_type, "requestId": request_id, "stackTrace": list(trace)}


def load(name):
    """The handler `file.function`; a Problem-shaped dict instead where Lambda would report one."""
    module_name, _dot, attribute = name.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        return None, problem("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}")
    except SyntaxError as error:
        return None, problem("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}")
    except Exception as error:
        return None, problem(type(error).__name__, str(error), trace=traceback.format_tb(error.__traceback__))
    if not hasattr(module, attribute):
        return None, problem("Runtime.HandlerNotFound", f"Handler '{attribute}' missing on module '{module_name}'")
    return getattr(module, attribute), None


def answer(handler, request):
    request_id = request["request_id"]
    try:
        result = handler(json.loads(request["event"]), Context(request))
    except Exception as error:
        trace = traceback.format_tb(error.__traceback__)[1:]  # without our own frame
        print(f"[ERROR] {type(error).__name__}: {error}\nTraceback (most recent call last):\n{''.join(trace)}")
        return {"error": problem(type(error).__name__, str(error), request_id, trace)}
    try:
        return {"result": json.dumps(result)}
    except (TypeError, ValueError) as error:
        return {"error": problem("Runtime.MarshalError", f"Unable to marshal response: {error}", request_id)}


def memory():
    """MiB in use; getrusage would tell the server's peak, from before this program was loaded into its copy."""
    try:
        with open("/proc/self/statm") as sizes:
            return int(sizes.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20
    except OSError:
        return 0


def main():
    channel = socket.socket(fileno=int(sys.argv[1])).makefile("rw", encoding="utf-8", newline="\n")
    sys.path[:0] = [os.getcwd(), *sys.argv[2:]]
    logging.basicConfig(stream=sys.stdout, format="[%(levelname)s]\t%(asctime)s\t%(message)s")

    def say(message):
        sys.stdout.flush()
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    handler, failure = load(os.environ["_HANDLER"])
    say({"error": failure} if failure else {"ready": True})
    if failure:
        return
    for line in channel:
        reply = answer(handler, json.loads(line))
        say(reply | {"memory": memory()})


main()
