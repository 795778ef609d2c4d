# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a call ends: whole, clearly, or in doubt; and how often it is made."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.bbws.platform.plugins.module_utils.aws import account, awslambda, calls
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import RETRYING, Account, shared_connections
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Refused, Uncertain
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.parsers import ResponseParserError

URL = {"endpoint_url": "https://lambda.af-south-1.amazonaws.com"}


def refused(code, status=400):
    return ClientError({"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Operation")


class Acts:
    """Raises or returns, call after call, what it was given; the last one for good."""

    def __init__(self, *acts):
        self.acts, self.count = list(acts), 0

    def __call__(self, **kwargs):
        self.count += 1
        act = self.acts[min(self.count, len(self.acts)) - 1]
        if isinstance(act, Exception):
            raise act
        return act() if callable(act) else act


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(refused("ServiceException", 500), id="5xx"),
        pytest.param(refused("PreconditionFailedException", 412), id="moved"),
        pytest.param(refused("ResourceConflictException", 409), id="busy-or-there"),
        pytest.param(ConnectionClosedError(**URL), id="reset"),
        pytest.param(ReadTimeoutError(**URL), id="no-answer-in-time"),
        pytest.param(EndpointConnectionError(**URL), id="gone-after-an-attempt"),
        pytest.param(ResponseParserError("cut"), id="cut-off"),
    ],
)
def test_a_write_that_may_have_been_made_is_in_doubt(error):
    acts = Acts(error)
    with pytest.raises(Uncertain):
        calls.write("write")(acts)()
    assert acts.count == 1


@pytest.mark.parametrize("error", [refused("AccessDeniedException", 403), refused("InvalidParameterValueException"), NoCredentialsError()])
def test_a_write_that_was_not_made_fails_clearly(error):
    with pytest.raises(AnsibleAWSError, match="Failed to write"):
        calls.write("write")(Acts(error))()


def test_nothing_left_to_delete_is_success():
    assert calls.write("delete", missing=("ResourceNotFoundException",))(Acts(refused("ResourceNotFoundException", 404)))() is None


def test_a_read_that_was_cut_off_is_made_again():
    acts = Acts(ResponseParserError("cut"), calls.Incomplete("cut"), {"whole": True})
    assert calls.read("read")(acts)() == {"whole": True}


def test_a_read_that_is_always_cut_off_ends_in_a_sentence():
    acts = Acts(ResponseParserError("cut"))
    with pytest.raises(calls.Incomplete) as error:
        calls.read("read")(acts)()
    assert acts.count == calls.LOOKS
    assert Account({}).explain(error.value) == "cut"


def test_a_doubt_that_stays_is_told_as_it_is():
    assert Account({}).explain(Uncertain("No answer came.")) == "No answer came."


def test_the_session_asks_for_its_credentials_as_patiently_as_for_everything_else():
    retries = Account({}).session().get_default_client_config().retries
    assert retries == RETRYING


def test_only_accounts_that_sign_in_alike_share_a_connection_and_only_where_it_is_said():
    sit, dev = {"profile": "bbws-sit", "expected_account_id": "1" * 12}, {"profile": "bbws-dev"}
    assert Account(sit)._connection is not Account(sit)._connection
    with shared_connections():
        shared = Account(sit)._connection
        assert Account({**sit, "expected_account_id": "2" * 12})._connection is shared  # what STS said is compared for each
        others = [
            dev,
            {**sit, "region": "us-east-1"},
            {**sit, "role_arn": "arn"},
            {**sit, "access_key": "key"},
            {**sit, "endpoint_url": "url"},
        ]
        assert not any(Account(other)._connection is shared for other in others)
    assert Account(sit)._connection is not shared


def test_what_sts_refused_is_not_asked_for_again_by_those_who_share_the_connection(monkeypatch):
    acts = Acts(refused("AccessDenied", 403))
    monkeypatch.setattr(account, "get_caller_identity", lambda client: acts())
    monkeypatch.setattr(Account, "client", lambda self, service: None)
    with shared_connections():
        for profile in ("bbws-sit", "bbws-sit", "bbws-dev"):
            with pytest.raises(Refused, match="is not allowed to this identity"):
                Account({"profile": profile, "expected_account_id": "1" * 12}).guard()
    assert acts.count == 2


@pytest.mark.parametrize("bad", [b"", b"<Error>SlowDown</Error>", b"the pack"], ids=["nothing", "an-error", "half"])
def test_a_download_that_is_not_the_whole_package_is_begun_again(monkeypatch, bad):
    bodies, waited = [bad, bad, b"the package"], []
    send = SimpleNamespace(send=lambda request: SimpleNamespace(status_code=200, content=bodies.pop(0)))
    monkeypatch.setattr(awslambda, "URLLib3Session", lambda timeout: send)
    aws = SimpleNamespace(clock=SimpleNamespace(pause=waited.append))
    assert awslambda.download(aws, "https://package", awslambda.code_sha256(b"the package"), 11) == b"the package"
    assert waited == [0.2, 0.4]


def answered(body=b'{"statusCode": 200}', **more):
    return lambda: {"StatusCode": 200, "ExecutedVersion": "2", "Payload": io.BytesIO(body), **more}


@pytest.mark.parametrize(
    ("repeatable", "acts", "sent", "status"),
    [
        pytest.param(True, [answered()], 1, 200, id="answered"),
        pytest.param(True, [answered(b'{"statusC'), answered()], 2, 200, id="cut-off"),
        pytest.param(False, [answered(b'{"statusC'), answered()], 1, None, id="cut-off-and-must-not-run-twice"),
        pytest.param(True, [refused("ResourceNotFoundException", 404), answered()], 2, 200, id="not-known-everywhere-yet"),
        pytest.param(False, [refused("ResourceNotFoundException", 404), answered()], 2, 200, id="not-known-and-so-not-run"),
        pytest.param(False, [refused("TooManyRequestsException", 429), answered()], 2, 200, id="throttled-and-so-not-run"),
        pytest.param(True, [refused("TooManyRequestsException", 429), answered()], 1, None, id="the-sdk-has-repeated-it"),
        pytest.param(False, [ConnectionClosedError(**URL), answered()], 1, None, id="may-have-run"),
        pytest.param(True, [ConnectionClosedError(**URL), answered()], 1, None, id="the-sdk-has-repeated-that-too"),
        pytest.param(True, [refused("ResourceNotFoundException", 404)], awslambda.SENDINGS, None, id="never-there"),
    ],
)
def test_an_event_is_sent_again_only_where_that_does_no_harm(repeatable, acts, sent, status):
    client = SimpleNamespace(invoke=Acts(*acts))
    aws = SimpleNamespace(client=lambda service, **kwargs: client, clock=SimpleNamespace(pause=lambda seconds: None))
    answer = awslambda.invoke(aws, "fn", "latest-sit", {}, repeatable)
    assert (client.invoke.count, answer["status"]) == (sent, status)


def test_an_alias_that_has_long_been_there_is_not_waited_for():
    client = SimpleNamespace(invoke=Acts(refused("ResourceNotFoundException", 404), answered()))
    aws = SimpleNamespace(client=lambda service, **kwargs: client, clock=SimpleNamespace(pause=lambda seconds: None))
    answer = awslambda.invoke(aws, "fn", "latest-sit", {}, repeatable=True, just_made=False)
    assert (client.invoke.count, answer["status"]) == (1, None)
