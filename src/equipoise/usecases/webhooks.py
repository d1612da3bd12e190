"""The webhook of a project: set, show, delete. Who delivers is `equipoise.webhooks.delivery`."""

from sqlalchemy import Connection

from equipoise.certificates.vault import Vault
from equipoise.core.commands import PutWebhookCommand
from equipoise.core.errors import InvalidField, NotFound
from equipoise.core.model import Webhook
from equipoise.core.references import ResourceKind
from equipoise.store import webhooks
from equipoise.store.database import Transaction
from equipoise.usecases.context import Caller
from equipoise.webhooks.signing import new_secret


def put_webhook(tx: Transaction, caller: Caller, vault: Vault, command: PutWebhookCommand) -> None:
    """Set the webhook: the jobs that end from here on are told there, and what was not delivered yet goes there, too.

    Raises:
        InvalidField: the secret that is there is to be kept, and there is none.
    """
    current = webhooks.get(tx.connection, caller.project_id)
    if command.keeps_secret:
        if current is None:
            raise InvalidField(
                ResourceKind.WEBHOOK, "", "secret is masked, but there is none to be kept; leave it out."
            )
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
    """The webhook. Raises NotFound."""
    found = webhooks.get(connection, caller.project_id)
    if found is None:
        raise _unknown(caller)
    return found


def delete_webhook(tx: Transaction, caller: Caller) -> None:
    """Delete the webhook; what was not delivered yet never is. Raises NotFound."""
    if not webhooks.remove(tx.connection, caller.project_id):
        raise _unknown(caller)


def _unknown(caller: Caller) -> NotFound:
    return NotFound(ResourceKind.WEBHOOK, caller.project_id, "This project has no webhook; PUT sets one.")
