"""The webhook of a project on the wire."""

from typing import TypedDict

from equipoise.api.classic.wire import types as t
from equipoise.api.classic.wire.times import resource_time
from equipoise.core.model import Webhook


class WebhookDocument(TypedDict):
    """Where the ends of jobs are told."""

    url: t.WebhookUrl
    secret: t.ShownSecret
    create_time: t.ResourceTime
    update_time: t.ResourceTime


def webhook(record: Webhook, secret: str) -> WebhookDocument:
    """The webhook, with what is to be shown in place of its secret."""
    return {
        "url": record.url,
        "secret": secret,
        "create_time": resource_time(record.create_time),
        "update_time": resource_time(record.update_time),
    }
