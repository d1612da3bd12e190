"""Every odd certificate of the table passes, or is told its true reason. `tests/e2e` has them served."""

import pytest

from equipoise.certificates.pair import check_pair, served_certificate, served_key
from equipoise.core.errors import InvalidField
from equipoise.core.references import ResourceKind
from tests.der import unpem
from tests.odd_certificates import Odd, odd_pairs


@pytest.mark.parametrize("odd", [odd for odd in odd_pairs() if odd.told is None], ids=lambda odd: odd.name)
def test_an_odd_one_that_can_be_served_passes_whole(odd: Odd) -> None:
    check_pair(odd.certificate, odd.private_key)
    assert unpem(served_certificate(odd.certificate)) == odd.chain
    assert served_key(odd.private_key).startswith("-----BEGIN PRIVATE KEY-----\n")


@pytest.mark.parametrize("odd", [odd for odd in odd_pairs() if odd.told is not None], ids=lambda odd: odd.name)
def test_an_odd_one_that_cannot_be_served_is_told_why(odd: Odd) -> None:
    with pytest.raises(InvalidField) as caught:
        check_pair(odd.certificate, odd.private_key)
    assert caught.value.kind is ResourceKind.CERTIFICATE
    assert odd.told is not None
    assert odd.told in caught.value.message
