"""Whether a request is Twilio's: its signature over the address it called and the fields it posted.

Rule: whoever is not surely Twilio is refused, an algorithm we do not know included. Pages:
https://www.twilio.com/docs/usage/security#validating-requests and …/usage/webhooks/webhook-shared-keys
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from channels.channel import Request
from channels.twilio.parse import fields

if TYPE_CHECKING:
    from channels.twilio.adapter import TwilioConfig

SIGNATURE = "x-twilio-signature"
SIGNED_WITH = "x-twilio-webhooks-signature-settings"  # only of requests signed with a shared key
HASHES = {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}


def authentic(request: Request, config: TwilioConfig) -> bool:
    """Whether Twilio has signed this request, and for this account. Raises whatever hostile input makes it raise."""
    settings = dict(
        part.strip().split("=", 1) for part in request.headers.get(SIGNED_WITH, "algorithm=HMAC_SHA1").split(",")
    )
    algorithm = settings["algorithm"]
    tokens = (config.auth_token, config.previous_auth_token) if algorithm == "HMAC_SHA1" else config.shared_keys
    told = fields(request.body)
    accounts = {value for key, value in told if key == "AccountSid"}
    if "json" in request.headers.get("content-type", ""):
        digest = re.search(r"[?&]bodySHA256=([0-9a-f]{64})(?:[&#]|$)", request.url)
        if digest is None or not hmac.compare_digest(digest[1], hashlib.sha256(request.body).hexdigest()):
            return False
        form: list[tuple[str, str]] = []  # it is in the address that is signed
        accounts = accounts or {config.account_sid}  # not every product of theirs names it
    elif request.body.lstrip().startswith(b"{"):  # read as JSON, it would have a form's signature
        return False
    else:
        form = told
    if accounts != {config.account_sid}:
        return False
    given = request.headers[SIGNATURE].encode("utf-8", "surrogatepass")
    fits = [
        hmac.compare_digest(given, signature(token, url, form, algorithm).encode())
        for token in tokens
        if token
        for url in spellings(request.url)
    ]
    return any(fits)


def signature(token: str, url: str, form: Sequence[tuple[str, str]], algorithm: str = "HMAC_SHA1") -> str:
    """Twilio's signature: over the address, then every field's name and value in the order of both, each pair once."""
    signed = url + "".join(key + value for key, value in sorted(set(form)))
    found = hmac.new(token.encode(), signed.encode("utf-8", "surrogatepass"), HASHES[algorithm])
    return base64.b64encode(found.digest()).decode()


def spellings(url: str) -> Iterator[str]:
    """The address with and without its port: which of them Twilio signs is not always the same."""
    bare = url.partition("#")[0]
    parts = re.fullmatch(r"(https?)://(\[[^\]/?]*\]|[^/?:]*)(:[0-9]+)?([/?].*)?", bare)
    if parts is None:
        return
    scheme, host, port, rest = parts[1], parts[2], parts[3], parts[4] or ""
    yield f"{scheme}://{host}{rest}"
    yield f"{scheme}://{host}{port or (':443' if scheme == 'https' else ':80')}{rest}"
