"""The key that encrypts private keys: made once, for its owner alone, and never replaced by another."""

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from equipoise.certificates.vault import Vault, VaultError


def test_a_sealed_key_is_unreadable_and_comes_back_as_it_was(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path / "keys" / "certificate.key", None)
    sealed = vault.seal("the private key")
    assert "private" not in sealed
    assert sealed != vault.seal("the private key")
    assert Vault.open(tmp_path / "keys" / "certificate.key", sealed).unseal(sealed) == "the private key"


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "certificate.key"
    Vault.open(path, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_missing_file_is_not_made_anew_when_something_was_sealed(tmp_path: Path) -> None:
    path = tmp_path / "certificate.key"
    with pytest.raises(VaultError, match=r"is missing.*certificates\.key_file"):
        Vault.open(path, "sealed")
    assert not path.exists()


def test_another_key_is_found_at_the_start(tmp_path: Path) -> None:
    sealed = Vault(Fernet.generate_key()).seal("x")
    Vault.open(tmp_path / "certificate.key", None)
    with pytest.raises(VaultError, match="is not the key with which"):
        Vault.open(tmp_path / "certificate.key", sealed)


def test_two_services_that_make_it_at_once_have_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "certificate.key"
    first = Vault.open(path, None)
    with monkeypatch.context() as before:
        before.setattr(Path, "exists", lambda _: False)
        second = Vault.open(path, None)
    assert second.unseal(first.seal("x")) == "x"


def test_a_file_that_is_no_key_is_told_without_quoting_it(tmp_path: Path) -> None:
    path = tmp_path / "certificate.key"
    path.write_text("not a key")
    with pytest.raises(VaultError, match="32 bytes") as caught:
        Vault.open(path, None)
    assert "not a key" not in str(caught.value)
