"""The API: every group of operations with what it needs, as one application."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
from starlette.types import ASGIApp

from equipoise.api.classic.handlers.certificates import CertificateHandlers
from equipoise.api.classic.handlers.elastic_ips import ElasticIpHandlers
from equipoise.api.classic.handlers.health_checks import HealthCheckHandlers
from equipoise.api.classic.handlers.jobs import JobHandlers
from equipoise.api.classic.handlers.listeners import ListenerHandlers
from equipoise.api.classic.handlers.load_balancers import LoadBalancerHandlers
from equipoise.api.classic.handlers.members import MemberHandlers
from equipoise.api.classic.handlers.monitor import MonitorHandlers
from equipoise.api.classic.handlers.networks import NetworkHandlers
from equipoise.api.classic.handlers.quotas import QuotaHandlers
from equipoise.api.classic.handlers.webhooks import WebhookHandlers
from equipoise.api.classic.wire import jobs as job_wire
from equipoise.api.common.about import About
from equipoise.api.common.description import Description
from equipoise.api.common.metrics import Access, MetricsHandler
from equipoise.api.context import ApiContext
from equipoise.api.keystone.built_in import BuiltInIdentity
from equipoise.api.keystone.external import ExternalIdentity
from equipoise.api.service import BacklogLimits, Service
from equipoise.certificates.vault import Vault
from equipoise.core.jobs import Job
from equipoise.core.model import EXTERNAL, INTERNAL
from equipoise.core.quotas import Quotas
from equipoise.http.gateway import GatewayOnly
from equipoise.http.routing import router
from equipoise.identity.external import ExternalKeystone
from equipoise.identity.service import Identity
from equipoise.metrics.page import MetricsPage
from equipoise.metrics.token import TOKEN_FILE, read_or_make
from equipoise.settings.table import QuotaSettings, Settings
from equipoise.store.backlog import Backlog
from equipoise.store.database import Database
from equipoise.store.waiting import JobWaiters
from equipoise.usecases.context import Policy
from equipoise.webhooks.targets import Targets


async def application(
    directory: Path,
    settings: Settings,
    database: Database,
    identity: Identity | ExternalKeystone,
    vault: Vault,
    targets: Targets,
    page: MetricsPage,
) -> ASGIApp:
    """The application of the whole API.

    Raises:
        MetricsTokenError: the token for the metrics can neither be read nor made.
    """
    token = read_or_make(Path(settings.metrics.token_file or directory / TOKEN_FILE))
    service = Service(
        database=database,
        identity=identity,
        policy=_policy(settings),
        waiters=JobWaiters(database),
        backlog=await Backlog.open(database),
        limits=BacklogLimits(settings.jobs.busy_mark, settings.jobs.hard_mark),
        sync_wait=settings.api.sync_wait,
    )
    api = ApiContext(service, settings.http.max_body)
    groups = (
        About(),
        JobHandlers(api, empty_sub_jobs=settings.jobs.empty_sub_jobs),
        LoadBalancerHandlers(api),
        ListenerHandlers(api),
        MemberHandlers(api),
        HealthCheckHandlers(api),
        CertificateHandlers(api, vault, show_private_key=settings.certificates.show_private_key),
        WebhookHandlers(api, vault, targets),
        ElasticIpHandlers(api),
        NetworkHandlers(api),
        QuotaHandlers(api),
        MonitorHandlers(api, interval=settings.monitor.interval),
        MetricsHandler(database, page, _access(settings), token),
        BuiltInIdentity(api, identity) if isinstance(identity, Identity) else ExternalIdentity(api, identity),
    )
    operations = [operation for group in groups for operation in group.operations()]
    app = router([*operations, *Description(operations).operations()])
    return GatewayOnly(app, settings.http.gateway_secret) if settings.http.gateway_secret else app


def _access(settings: Settings) -> Access:
    access = Access(settings.metrics.access)
    # A gateway on this machine asks from this machine, for whoever is before it.
    return Access.TOKEN if access is Access.LOCAL and settings.http.gateway_secret else access


def job_document(empty_sub_jobs: bool) -> Callable[[Job], bytes]:
    """What makes the document of a job, as it is delivered to webhooks."""
    return lambda job: msgspec.json.encode(job_wire.job(job, empty_sub_jobs=empty_sub_jobs))


def _policy(settings: Settings) -> Policy:
    return Policy(
        pools={EXTERNAL: settings.addresses.external, INTERNAL: settings.addresses.internal},
        quotas=_quotas(settings.quotas),
        project_quotas={own.project_id: _quotas(settings.quotas.of_project(own)) for own in settings.quotas.projects},
        job_time_limit=settings.jobs.time_limit,
        networks=replace(settings.networks.vpcs, zones=settings.networks.zones),
    )


def _quotas(quotas: QuotaSettings) -> Quotas:
    return Quotas(load_balancers=quotas.elb, listeners=quotas.listener, members=quotas.member)
