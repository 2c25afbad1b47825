"""DKIM: our name under a mail, so that its receiver knows which domain answers for it (RFC 6376, RFC 8463).

Rule: header and body are relaxed, for relays refold and trim; and From is signed once more than it occurs, so that
nobody can put a second one on top.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SIGNED = (
    *("from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references"),
    *("mime-version", "content-type", "reply-to"),
)
WEAKEST = 1024  # bits of an RSA key; receivers ignore shorter ones, RFC 8301 3.2

_LABELS = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62}){0,20}", re.IGNORECASE)


class Signer:
    """Signs mails for one domain. The public key belongs into DNS at `{selector}._domainkey.{domain}`."""

    def __init__(self, domain: str, selector: str, private_key: str) -> None:
        """`private_key` is PEM, or the base64 of an Ed25519 seed. Raises `ValueError`, never quoting it."""
        for what, name in (("domain", domain), ("selector", selector)):
            if not _LABELS.fullmatch(name):
                raise ValueError(f"The DKIM {what} {name!r} is not a name that DNS can hold.")
        self.domain = domain.lower()
        self.selector = selector
        self._key = _key(private_key)

    def __repr__(self) -> str:
        return f"Signer({self.selector}._domainkey.{self.domain})"

    @property
    def record(self) -> str:
        """What the TXT record in DNS has to hold."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self._key.public_key()
        if isinstance(self._key, Ed25519PrivateKey):
            kind, raw = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        else:
            kind, raw = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k={kind}; p={base64.b64encode(raw).decode()}"

    def sign(self, raw: bytes, at: datetime) -> bytes:
        """The mail with its signature on top. `raw` has CRLF line ends and must not change afterwards.

        Takes a millisecond and what hashing the mail takes, so call it in a thread.
        """
        head, _, body = raw.partition(b"\r\n\r\n")
        fields = list(_fields(head + b"\r\n"))
        names = _names(fields)
        digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
        unsigned = (
            f"DKIM-Signature: v=1; a={self._algorithm}; c=relaxed/relaxed; d={self.domain};\r\n"
            f" s={self.selector}; t={int(at.timestamp())};\r\n"
            f" h={':'.join(names)};\r\n bh={digest};\r\n b="
        ).encode("ascii")
        signed = b"".join(_picked(fields, names)) + relaxed_field(unsigned)
        return unsigned + base64.b64encode(self._signature(signed)) + b"\r\n" + raw

    @property
    def _algorithm(self) -> str:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return "ed25519-sha256" if isinstance(self._key, Ed25519PrivateKey) else "rsa-sha256"

    def _signature(self, signed: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(hashlib.sha256(signed).digest())  # RFC 8463 3: the hash is what is signed
        return self._key.sign(signed, PKCS1v15(), SHA256())


def relaxed_field(field: bytes) -> bytes:
    """A header field as RFC 6376 3.4.2 wants it hashed, without a line end."""
    name, _, value = field.partition(b":")
    return name.strip().lower() + b":" + b" ".join(value.split())


def relaxed_body(body: bytes) -> bytes:
    """A body as RFC 6376 3.4.4 wants it hashed."""
    body = re.sub(rb"[ \t]+", b" ", body).replace(b" \r\n", b"\r\n").rstrip(b" ")
    words = body.rstrip(b"\r\n")
    return words + b"\r\n" if words else b""


def _fields(head: bytes) -> Iterator[tuple[str, bytes]]:
    for field in re.split(rb"\r\n(?![ \t])", head):
        if field:
            yield field.partition(b":")[0].strip().lower().decode("latin-1"), field


def _names(fields: list[tuple[str, bytes]]) -> list[str]:
    there = [name for name, _ in fields]
    return [name for name in SIGNED for _ in range(there.count(name))] + ["from"]


def _picked(fields: list[tuple[str, bytes]], names: list[str]) -> Iterator[bytes]:
    """The fields named, from the bottom of the header upwards (RFC 6376 5.4.2); one that is not there is nothing."""
    left = list(fields)
    for wanted in names:
        for place in range(len(left) - 1, -1, -1):
            if left[place][0] == wanted:
                yield relaxed_field(left.pop(place)[1]) + b"\r\n"
                break


def _key(text: str) -> RSAPrivateKey | Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = text.strip().replace("\\n", "\n")  # as it stands in many environment variables
    try:
        if text.startswith("-----"):
            key = load_pem_private_key(text.encode("utf-8", "replace"), None)
        else:
            key = Ed25519PrivateKey.from_private_bytes(base64.b64decode("".join(text.split()), validate=True))
    except TypeError:
        raise ValueError("The DKIM key is locked with a password. Save it without one.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("The DKIM key cannot be read: it has to be a private key in PEM.") from None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("The DKIM key is neither RSA nor Ed25519; receivers know no other.")
    if key.key_size < WEAKEST:
        raise ValueError(
            f"The DKIM key has {key.key_size} bits. Receivers ignore less than {WEAKEST}; make one of 2048."
        )
    return key
