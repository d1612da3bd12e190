"""Renewing a certificate: a job for each listener that uses it, and all of them share one fate."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from equipoise.api.classic.handlers.listeners import update_listener
from equipoise.core.commands import CreateCertificateCommand, UpdateCertificateCommand
from equipoise.core.errors import ChangedMeanwhile, InUse, ServiceError
from equipoise.core.jobs import JobStatus
from equipoise.store.tables import certificate_contents, load_balancers
from equipoise.usecases import certificates, listeners
from equipoise.usecases.certificates import CertificateView, Renewal
from equipoise.usecases.context import Accepted
from equipoise.usecases.listeners import ListenerFilters
from tests.store.controller_stand import CALLER, Stand, open_stand

LIMIT = 300.0


class Shop:
    """A certificate and the listeners that use it."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.id = ""

    async def open(self, load_balancers: int = 0) -> list[Accepted]:
        """Make the certificate, and load balancers with a listener each that uses it."""
        command = CreateCertificateCommand("first", "key of first", "", "", "")
        accepted = await self.stand.write(
            lambda tx: certificates.create_certificate(tx, CALLER, self.stand.vault, command)
        )
        self.id = accepted.resource_id
        return [await self.listener() for _ in range(load_balancers)]

    async def listener(self) -> Accepted:
        made = await self.stand.create_load_balancer()
        https: dict[str, Any] = {"protocol": "HTTPS", "backend_protocol": "HTTP", "certificate_id": self.id}
        accepted = await self.stand.create_listener(made.resource_id, **https)
        await self.stand.ended(accepted)
        return accepted

    async def renew(self, text: str) -> Accepted:
        renewal = Renewal(self.view().content.id, text, self.stand.vault.seal(f"key of {text}"))
        return await self.stand.write(
            lambda tx: certificates.update_certificate(
                tx, CALLER, self.stand.policy, self.id, UpdateCertificateCommand(None, None, {"name": text}), renewal
            )
        )

    async def delete(self) -> None:
        await self.stand.write(lambda tx: certificates.delete_certificate(tx, CALLER, self.id))

    async def ends(self, accepted: Accepted) -> list[JobStatus]:
        return [(await self.stand.ended(Accepted(id, self.id))).status for id in accepted.job_ids]

    def user_of(self, load_balancer_id: str) -> str:
        """The listener of a load balancer."""
        wanted = ListenerFilters([("load_balancer_id", load_balancer_id)])
        found = self.stand.read(lambda c: listeners.list_listeners(c, CALLER, wanted, None, None))
        return found[0].listener.id

    def view(self) -> CertificateView:
        return self.stand.read(lambda c: certificates.show_certificate(c, CALLER, self.id))

    def stored(self) -> Sequence[str]:
        """All contents that there are."""
        return self.stand.read(lambda c: c.execute(select(certificate_contents.c.certificate)).scalars().all())

    def generations(self) -> dict[str, int]:
        rows = self.stand.read(lambda c: c.execute(select(load_balancers.c.id, load_balancers.c.generation)).all())
        return {row.id: row.generation for row in rows}


async def test_without_a_listener_there_is_no_job_and_the_old_content_goes_at_once(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        shop = Shop(stand)
        await shop.open()
        assert (await shop.renew("second")).job_ids == ()
        assert shop.stored() == ["second"]


async def test_each_listener_has_a_job_and_the_old_content_goes_with_the_last(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        shop = Shop(stand)
        await shop.open(3)
        stand.node.confirms_at_once = False
        accepted = await shop.renew("second")
        assert len(accepted.job_ids) == 3
        assert sorted(shop.stored()) == ["first", "second"]
        for id in shop.generations():
            await stand.handed_over(id)
        stand.node.confirm_all()
        assert await shop.ends(accepted) == [JobStatus.SUCCESS] * 3
        assert shop.stored() == ["second"]


async def test_a_refusal_by_one_listener_takes_the_renewal_back_from_all_also_where_it_was_in_force(
    database_url: str,
) -> None:
    async with open_stand(database_url) as stand:
        shop = Shop(stand)
        await shop.open(3)
        stand.node.confirms_at_once = False
        accepted = await shop.renew("second")
        first, second, third = [stand.job(Accepted(id, "")).load_balancer_id for id in accepted.job_ids]
        for id in (first, second, third):
            await stand.handed_over(id)
        before = shop.generations()
        stand.confirm_change_of(Accepted(accepted.job_ids[0], ""))
        assert (await stand.ended(Accepted(accepted.job_ids[0], ""))).status is JobStatus.SUCCESS
        assert sorted(shop.stored()) == ["first", "second"]
        stand.node.reject(second, shop.user_of(second), "refused by the test")
        assert await shop.ends(accepted) == [JobStatus.SUCCESS, JobStatus.FAIL, JobStatus.FAIL]
        assert (shop.view().content.certificate, shop.view().certificate.name) == ("first", "")
        assert shop.stored() == ["first"]
        assert shop.generations() == {id: generation + 1 for id, generation in before.items()}


async def test_two_renewals_that_fail_one_after_the_other_leave_what_was_there_before_both(database_url: str) -> None:
    now = 1_000_000.0
    async with open_stand(database_url, time_limit=LIMIT, clock=lambda: now) as stand:
        shop = Shop(stand)
        await shop.open(load_balancers=2)
        stand.node.confirms_at_once = False
        first = await shop.renew("second")
        now += LIMIT / 2
        second = await shop.renew("third")
        now += LIMIT / 2
        assert await shop.ends(first) == [JobStatus.FAIL] * 2
        assert (shop.view().certificate.name, shop.view().content.certificate) == ("third", "third")
        now += LIMIT / 2
        assert await shop.ends(second) == [JobStatus.FAIL] * 2
        assert (shop.view().certificate.name, shop.view().content.certificate) == ("", "first")
        assert shop.stored() == ["first"]


async def test_a_renewal_that_was_checked_against_what_is_there_no_more_changes_nothing(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        shop = Shop(stand)
        await shop.open()
        late = Renewal(shop.view().content.id, "late", stand.vault.seal("key"))
        await shop.renew("second")
        with pytest.raises(ServiceError) as caught:
            await stand.write(
                lambda tx: certificates.update_certificate(
                    tx, CALLER, stand.policy, shop.id, UpdateCertificateCommand("late", None, {}), late
                )
            )
        assert type(caught.value) is ChangedMeanwhile
        assert shop.stored() == ["second"]


async def test_a_certificate_that_may_come_back_to_a_listener_is_kept(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        shop, other = Shop(stand), Shop(stand)
        made = (await shop.open(1))[0]
        await other.open()
        stand.node.confirms_at_once = False
        change = {"certificate_id": other.id}
        changed = await stand.write(lambda tx: update_listener(tx, CALLER, stand.policy, made.resource_id, change))
        with pytest.raises(ServiceError) as caught:
            await shop.delete()
        assert type(caught.value) is InUse
        await stand.handed_over(stand.job(changed).load_balancer_id)
        stand.node.confirm_all()
        await stand.ended(changed)
        await shop.delete()
        assert shop.stored() == ["first"]
