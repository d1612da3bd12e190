"""The webhook of a project: set, show, delete. Who delivers is `equipoise.webhooks.delivery`."""

from sqlalchemy import Connection

from equipoise.certificates.vault import Vault
from equipoise.domain.commands import PutWebhook
from equipoise.domain.errors import Rule, RuleBroken
from equipoise.domain.model import Webhook
from equipoise.store import webhooks
from equipoise.store.database import Transaction
from equipoise.usecases.context import Caller
from equipoise.webhooks.signing import new_secret


def put_webhook(tx: Transaction, caller: Caller, vault: Vault, command: PutWebhook) -> None:
    """Set the webhook: the jobs that end from here on are told there, and what was not delivered yet goes there, too.

    Raises:
        RuleBroken: WEBHOOK_INVALID: the secret that is there is to be kept, and there is none.
    """
    current = webhooks.get(tx.connection, caller.project_id)
    if command.keeps_secret:
        if current is None:
            raise RuleBroken(Rule.WEBHOOK_INVALID, "secret is masked, but there is none to be kept; leave it out.")
        sealed = current.secret
    else:
        sealed = vault.seal(command.secret or new_secret())
    record = Webhook(
        project_id=caller.project_id,
        url=command.url,
        secret=sealed,
        create_time=tx.now if current is None else current.create_time,
        update_time=tx.now,
    )
    webhooks.put(tx.connection, record)


def show_webhook(connection: Connection, caller: Caller) -> Webhook:
    """The webhook. Raises RuleBroken: WEBHOOK_UNKNOWN."""
    found = webhooks.get(connection, caller.project_id)
    if found is None:
        raise _unknown()
    return found


def delete_webhook(tx: Transaction, caller: Caller) -> None:
    """Delete the webhook; what was not delivered yet never is. Raises RuleBroken: WEBHOOK_UNKNOWN."""
    if not webhooks.remove(tx.connection, caller.project_id):
        raise _unknown()


def _unknown() -> RuleBroken:
    return RuleBroken(Rule.WEBHOOK_UNKNOWN, "This project has no webhook; PUT sets one.")
