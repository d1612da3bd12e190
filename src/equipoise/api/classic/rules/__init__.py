"""The rules that a request obeys by itself, one module a resource: pure functions from JSON values to commands.

Nothing is looked up here. Each function raises `RuleBroken` for the first field, in the order of the published
table, that breaks a rule, and raises nothing else whatever the JSON value is.
"""

from equipoise.api.classic.rules.certificate import create_certificate, update_certificate
from equipoise.api.classic.rules.health_check import (
    create_health_check,
    update_health_check,
)
from equipoise.api.classic.rules.ids import (
    certificate_id,
    health_check_id,
    listener_id,
    load_balancer_id,
    member_listener_id,
)
from equipoise.api.classic.rules.listener import create_listener, update_listener
from equipoise.api.classic.rules.load_balancer import create_load_balancer, update_load_balancer
from equipoise.api.classic.rules.member import add_members, remove_members
from equipoise.api.classic.rules.query import (
    ListQuery,
    certificate_filters,
    listener_filters,
    load_balancer_filters,
    member_filters,
)

__all__ = [
    "ListQuery",
    "add_members",
    "certificate_filters",
    "certificate_id",
    "create_certificate",
    "create_health_check",
    "create_listener",
    "create_load_balancer",
    "health_check_id",
    "listener_filters",
    "listener_id",
    "load_balancer_filters",
    "load_balancer_id",
    "member_filters",
    "member_listener_id",
    "remove_members",
    "update_certificate",
    "update_health_check",
    "update_listener",
    "update_load_balancer",
]
