"""Whose request it is: Twilio's signature over forms and JSON, by token and by shared key."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from channels.channel import Request
from channels.errors import Unverified
from channels.twilio.adapter import Sms, TwilioConfig
from channels.twilio.signature import authentic, signature, spellings
from tests.channels.test_twilio import ACCOUNT, HOOK, SMS, TOKEN, fields_of, made, signed


def test_the_known_signatures() -> None:
    form = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
    ]
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature("12345", url, form) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert signature("12345", url, [*reversed(form), form[0]]) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert signature("12345", url, [*form, ("Blank", "")]) != "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert signature("12345", JSON.url, []) == "96hGbG49Lv+2B4QMECakNkyIXWw="


SHARED = "kumbara-shared-key-0123456789abcdef"
JSON = Request(
    method="POST",
    url="https://ex.com/hook?bodySHA256=3c38bedb2e5918cd381eef0e6bd1013146ae49e8fa5c71856630ba4592dd7dcd",
    headers={"content-type": "application/json", "x-twilio-signature": "96hGbG49Lv+2B4QMECakNkyIXWw="},
    body='{"a":"ğ"}'.encode(),
)
CONFIG = TwilioConfig(account_sid=ACCOUNT, auth_token=TOKEN, sender="+908505550100")


FORMS = st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))))


@given(form=FORMS, token=st.text(st.characters(codec="utf-8"), min_size=1), sha256=st.booleans())
def test_twilio_s_own_validator_agrees(form: list[tuple[str, str]], token: str, sha256: bool) -> None:
    algorithm = "HMAC_SHA256" if sha256 else "HMAC_SHA1"
    theirs = RequestValidator(token).compute_signature(HOOK, MultiDict(form), algorithm)
    assert signature(token, HOOK, form, algorithm) == theirs


def test_json_is_believed_by_the_digest_in_its_address() -> None:
    config = replace(CONFIG, auth_token="12345")
    assert authentic(JSON, config)
    assert not authentic(replace(JSON, body=b'{"a":"g"}'), config)
    assert not authentic(replace(JSON, url="https://ex.com/hook"), config)
    assert not authentic(JSON, CONFIG)


def test_several_tokens_are_believed_while_one_takes_the_other_s_place() -> None:
    request = signed(SMS.payload("text"))
    assert authentic(request, CONFIG)
    assert authentic(request, replace(CONFIG, auth_token="new", previous_auth_token=TOKEN))
    assert not authentic(request, replace(CONFIG, auth_token="new", previous_auth_token=""))
    assert not authentic(request, replace(CONFIG, auth_token="", previous_auth_token=""))


def test_shared_keys_sign_with_sha_256() -> None:
    request = signed(SMS.payload("text"))
    form = [(key, value) for key, values in fields_of(request.body).items() for value in values]
    by_key = signature(SHARED, request.url, form, "HMAC_SHA256")
    settings = "key=webhooks_sharedkey_01, algorithm=HMAC_SHA256"
    headers = {**request.headers, "x-twilio-signature": by_key, "x-twilio-webhooks-signature-settings": settings}
    known = replace(CONFIG, shared_keys=("another", SHARED))
    assert authentic(replace(request, headers=headers), known)
    assert not authentic(replace(request, headers=headers), CONFIG)
    without = {key: value for key, value in headers.items() if key != "x-twilio-webhooks-signature-settings"}
    assert not authentic(replace(request, headers=without), known)
    # The auth token is no shared key, and what we do not know we do not believe.
    by_token = {**request.headers, "x-twilio-webhooks-signature-settings": settings}
    assert not authentic(replace(request, headers=by_token), known)
    for strange in ("key=a,algorithm=NONE", "", "algorithm", "algorithm=HMAC_MD5", ",,,=", "key=a"):
        odd = {**headers, "x-twilio-webhooks-signature-settings": strange}
        with pytest.raises(Unverified):
            Sms("sms", known).verify(replace(request, headers=odd))


def test_edge_02_the_address_counts_to_the_letter_but_for_its_port() -> None:
    request = signed(SMS.payload("text"))
    assert authentic(replace(request, url=HOOK.replace(".com/", ".com:443/")), CONFIG)
    assert not authentic(replace(request, url=HOOK.replace("https", "http")), CONFIG)
    assert not authentic(replace(request, url=HOOK + "/"), CONFIG)
    assert not authentic(replace(request, url=HOOK + "?a=b"), CONFIG)
    assert list(spellings("https://[::1]:8443/x?y#z")) == ["https://[::1]/x?y", "https://[::1]:8443/x?y"]
    assert list(spellings("http://a.example")) == ["http://a.example", "http://a.example:80"]
    form = [(key, value) for key, values in fields_of(request.body).items() for value in values]
    with_port = signature(TOKEN, HOOK.replace(".com/", ".com:443/"), form)
    assert authentic(replace(request, headers={**request.headers, "x-twilio-signature": with_port}), CONFIG)


@given(
    headers=st.dictionaries(
        st.sampled_from(["x-twilio-signature", "x-twilio-webhooks-signature-settings", "content-type"]),
        st.text(st.characters(exclude_categories=())) | st.sampled_from(["application/json", "algorithm=HMAC_SHA256"]),
    ),
    url=st.text(st.characters(exclude_categories=())) | st.just(HOOK) | st.just(JSON.url),
    body=st.binary(),
)
def test_edge_03_hostile_requests_are_refused_not_stumbled_over(headers: dict[str, str], url: str, body: bytes) -> None:
    with pytest.raises(Unverified):
        made("sms", "http://127.0.0.1:9").verify(Request(method="POST", url=url, headers=headers, body=body))


@pytest.mark.parametrize("account", ["AC00000000000000000000000000000999", "", [ACCOUNT, "AC999"]])
def test_what_is_signed_for_another_account_is_not_ours(account: Any) -> None:
    body = json.dumps(json.loads(SMS.payload("text")) | {"AccountSid": account}).encode()
    with pytest.raises(Unverified):
        made("sms", "http://127.0.0.1:9").verify(signed(body))
