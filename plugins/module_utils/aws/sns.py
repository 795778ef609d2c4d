# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SNS: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole, write

#: Instead of the ARN of a subscription that nobody has confirmed.
PENDING = "PendingConfirmation"
NOT_FOUND = ("NotFound", "NotFoundException", "ResourceNotFound", "ResourceNotFoundException")


@read("list the topics")
def list_topics(client: t.Any) -> list[str]:
    """The ARNs of all topics of the region."""
    return [
        one["TopicArn"]
        for page in client.get_paginator("list_topics").paginate()
        for one in whole(page, ("Topics",), "ListTopics")["Topics"]
    ]


@read("list the subscriptions")
def list_subscriptions(client: t.Any) -> list[dict[str, t.Any]]:
    """All subscriptions of the region."""
    pages = client.get_paginator("list_subscriptions").paginate()
    return [one for page in pages for one in whole(page, ("Subscriptions",), "ListSubscriptions")["Subscriptions"]]


@read("list the subscriptions of {topic}", missing=NOT_FOUND)
def list_subscriptions_by_topic(client: t.Any, topic: str) -> list[dict[str, t.Any]] | None:
    """None when there is no such topic."""
    pages = client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    return [one for page in pages for one in whole(page, ("Subscriptions",), "ListSubscriptionsByTopic")["Subscriptions"]]


@read("read the tags of {topic}", missing=NOT_FOUND)
def list_tags_for_resource(client: t.Any, topic: str) -> dict[str, str]:
    found = whole(client.list_tags_for_resource(ResourceArn=topic), ("Tags",), "ListTagsForResource")["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}


@write("create topic {name}")
def create_topic(client: t.Any, name: str, attributes: t.Mapping[str, str], tags: t.Mapping[str, str]) -> str:
    """The same name and tags again are the same topic."""
    answer = client.create_topic(
        Name=name, Attributes=dict(attributes), Tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    )
    return whole(answer, ("TopicArn",), "CreateTopic")["TopicArn"]


@write("subscribe {endpoint} to {topic}")
def subscribe(client: t.Any, topic: str, protocol: str, endpoint: str) -> str:
    """The same again is the same subscription. Its ARN, or PENDING until somebody confirms it.

    https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
    """
    answer = whole(client.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint), ("SubscriptionArn",), "Subscribe")
    return answer["SubscriptionArn"] if answer["SubscriptionArn"].startswith("arn:") else PENDING


@write("delete topic {topic}", missing=NOT_FOUND)
def delete_topic(client: t.Any, topic: str) -> None:
    client.delete_topic(TopicArn=topic)


@write("tag {topic}")
def tag_resource(client: t.Any, topic: str, tags: t.Mapping[str, str]) -> None:
    client.tag_resource(ResourceArn=topic, Tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())])
