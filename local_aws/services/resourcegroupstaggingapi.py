# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tagging API as AWS documents it, where moto differs: the type of log groups, and full pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.logs.models import LogsBackend
from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend

from local_aws.patching import replace


def install() -> None:
    """Importing this module has overridden moto; there is nothing else to do."""


@replace(LogsBackend, "iter_tagged_resources")
def iter_tagged_resources(original: Any, self: LogsBackend) -> Iterator[TaggedResource]:
    """https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html: a type is as in the ARN."""
    for group in self.groups.values():
        yield TaggedResource(arn=group.arn, tags=self.tagger.get_tag_dict_for_resource(group.arn), resource_type="logs:log-group")


@replace(ResourceGroupsTaggingAPIBackend, "get_resources")
def get_resources(
    original: Any,
    self: ResourceGroupsTaggingAPIBackend,
    pagination_token: str | None = None,
    resources_per_page: int = 50,
    tags_per_page: int = 100,
    tag_filters: Any = None,
    resource_type_filters: Any = None,
    resource_arn_list: Any = None,
) -> Any:
    """A page has as many resources as were asked for, whatever tags they have.

    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
    """
    return original(
        self, pagination_token, resources_per_page, 50 * resources_per_page + 1, tag_filters, resource_type_filters, resource_arn_list
    )
