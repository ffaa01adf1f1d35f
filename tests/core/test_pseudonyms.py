"""Generated identifiers: golden values that must never change, and the formula computed in another way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import pickle
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.errors import BadText
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms, new_key

SECRET = bytes(range(32))
KEY = Key(SECRET)


def test_golden_values() -> None:
    """Fixed for all releases of this major version: whoever changes them breaks every project that joins two runs."""
    trial = Pseudonyms(KEY, "trial")

    assert KEY.fingerprint == "48f3dcb4"
    assert trial.uid("1.2.3") == "2.25.284060711009226469001276457049569156921"
    assert trial.patient_id("4MR1") == "4d80ed7e-e527-8049-b83d-f3f77c2f22be"
    assert trial.patient_id("É東") == "044bb71c-46f5-87be-b6f9-9b58349aa17d"
    assert Pseudonyms(KEY, "trial", "opt").uid("1.2.3") == "2.25.189613746972448203459890283833056535508"
    assert Pseudonyms(KEY, "other").patient_id("4MR1") == "67d4ad23-a1a6-8b7c-a611-c27f0526d40b"


def expected_uuid(secret: bytes, *fields: str) -> uuid.UUID:
    """Compute the formula of the contract with nothing but the standard library's primitives."""
    message = b"".join(len(field.encode()).to_bytes(8, "big") + field.encode() for field in fields)
    digest = bytearray(hmac.digest(secret, message, hashlib.sha256)[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(digest))


@given(
    st.binary(min_size=32, max_size=64), st.text(max_size=20), st.text(max_size=70), st.none() | st.text(max_size=20)
)
def test_the_formula(secret: bytes, scope: str, original: str, options: str | None) -> None:
    """HMAC-SHA-256 over length-prefixed fields, cut to 16 bytes, marked as a version 8 UUID of RFC 9562."""
    tail = () if options is None else (options,)
    pseudonyms = Pseudonyms(Key(secret), scope, options)
    patient = expected_uuid(secret, "deidflow/1", scope, "patient", original, *tail)
    uid = expected_uuid(secret, "deidflow/1", scope, "uid", original, *tail)

    assert pseudonyms.patient_id(original) == str(patient)
    assert pseudonyms.uid(original) == f"2.25.{uid.int}"
    assert (patient.version, patient.variant) == (8, uuid.RFC_4122)
    assert len(pseudonyms.uid(original)) <= 64


def test_the_fingerprint() -> None:
    """It is the first 8 hex digits of an HMAC over a fixed text."""
    assert KEY.fingerprint == hmac.digest(SECRET, b"deidflow fingerprint", hashlib.sha256).hex()[:8]


@pytest.mark.parametrize(
    "text",
    [
        SECRET.hex(),
        SECRET.hex().upper(),
        base64.b64encode(SECRET).decode(),
        f"  {SECRET.hex()}\r\n",
        f"{SECRET.hex()[:32]}\n{SECRET.hex()[32:]}",
    ],
)
def test_hex_and_base64_are_read(text: str) -> None:
    """White space does not count."""
    assert Key.parse(text).fingerprint == KEY.fingerprint


@pytest.mark.parametrize(
    "text",
    ["", "secret", SECRET.hex()[:-2], base64.b64encode(SECRET[:31]).decode(), "é" * 64, "not a key!" * 9, "0x12"],
)
def test_bad_keys_are_refused(text: str) -> None:
    """Too short or neither hex nor base64; the message says how to make one and does not repeat it."""
    with pytest.raises(BadText, match="openssl rand -hex 32") as caught:
        Key.parse(text)
    assert not text or text not in str(caught.value)


def test_a_key_does_not_show_itself() -> None:
    """Neither ``repr`` nor an f-string holds the secret; it travels to worker processes nevertheless."""
    shown = f"{KEY!r} {KEY}"

    assert shown == "Key(48f3dcb4) Key(48f3dcb4)"
    assert pickle.loads(pickle.dumps(KEY)).fingerprint == KEY.fingerprint  # noqa: S301 (our own bytes)


def test_new_keys_are_good_and_differ() -> None:
    """A fresh key can be read."""
    assert Key.parse(new_key()).fingerprint != Key.parse(new_key()).fingerprint


@pytest.mark.parametrize("count", [32, 64])
def test_zeros_are_no_key(count: int) -> None:
    """In hex and in base64; the message says how to make one, and does not repeat it."""
    secret = bytes(count)
    for text in (secret.hex(), base64.b64encode(secret).decode()):
        with pytest.raises(BadText, match="openssl rand") as caught:
            Key.parse(text)
        assert text not in str(caught.value)
