"""Sealing: what it gives back, to whom, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.errors import PlatformError
from paas.model.secret import Secret
from paas.store.crypto import Vault

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
VAULT = Vault(Path("key"), (KEY,))


@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=())), max_size=5))
def test_any_text_comes_back_as_it_was(values: dict[str, str]) -> None:
    secrets = {key: Secret(value) for key, value in values.items()}
    assert VAULT.unseal(VAULT.seal(secrets, "app", "config 1"), "app", "config 1") == secrets


@pytest.mark.parametrize(("owner", "place"), [("other", "config 1"), ("app", "config 2"), ("app", "addon")])
def test_it_is_given_back_at_its_own_place_only(owner: str, place: str) -> None:
    token = VAULT.seal({"A": Secret("value")}, "app", "config 1")
    with pytest.raises(PlatformError) as refused:
        VAULT.unseal(token, owner, place)
    assert "value" not in str(refused.value)


def test_one_changed_character_is_refused() -> None:
    token = VAULT.seal({"A": Secret("value")}, "app", "config 1")
    middle = len(token) // 2
    wrong = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for damaged in (wrong, token[:-4], "", "ünïcode"):
        with pytest.raises(PlatformError):
            VAULT.unseal(damaged, "app", "config 1")


def test_the_same_value_never_looks_the_same() -> None:
    assert VAULT.seal({"A": Secret("1")}, "app", "x") != VAULT.seal({"A": Secret("1")}, "app", "x")


def test_a_renewed_vault_reads_the_old_and_seals_under_the_new() -> None:
    token = VAULT.seal({"A": Secret("1")}, "app", "x")
    renewed = VAULT.renewed()
    assert renewed.unseal(token, "app", "x") == {"A": Secret("1")}
    resealed = renewed.reseal(token)
    assert renewed.newest().unseal(resealed, "app", "x") == {"A": Secret("1")}
    with pytest.raises(PlatformError):
        VAULT.unseal(resealed, "app", "x")


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    first = Vault.create(tmp_path / "key")
    with pytest.raises(FileExistsError):
        Vault.create(tmp_path / "key")
    assert Vault.load(tmp_path / "key") == first
