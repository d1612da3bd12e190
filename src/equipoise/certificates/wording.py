"""How a refused certificate, chain or key is told: the part that is wrong, and why. No sentence quotes a key."""

from equipoise.core.errors import InvalidField
from equipoise.core.references import ResourceKind


def wrong(sentence: str) -> InvalidField:
    """Return the refusal that says this, without its full stop."""
    return InvalidField(ResourceKind.CERTIFICATE, "", sentence + ".")


def wrong_at(number: int, fault: object) -> InvalidField:
    """Return the refusal of one certificate of a chain, counted from 1; what is wrong follows it as a subject."""
    return wrong(f"certificate: the {ordinal(number)} one in it {fault}")


def ordinal(number: int) -> str:
    """Return the place of a certificate in its chain, counted from 1, in words."""
    return ("first", "second", "third")[number - 1] if number <= 3 else f"{number}th"
