"""OAuth 1.0a signatures: X's own published example, and what must hold for every request."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import unquote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.oauth1 import Keys, bare, base_string, encoded, header, signature

# docs.x.com/fundamentals/authentication/oauth-1-0a/creating-a-signature; its keys were never good for anything else
KEYS = Keys(
    consumer_key="xvz1evFS4wEEPTGEFPHBog",
    consumer_secret="kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
    token="370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
    token_secret="LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
)
URL = "https://api.x.com/1.1/statuses/update.json"
PARAMETERS = (
    ("status", "Hello Ladies + Gentlemen, a signed OAuth request!"),
    ("include_entities", "true"),
    ("oauth_consumer_key", KEYS.consumer_key),
    ("oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"),
    ("oauth_signature_method", "HMAC-SHA1"),
    ("oauth_timestamp", "1318622958"),
    ("oauth_token", KEYS.token),
    ("oauth_version", "1.0"),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
AT = datetime.fromtimestamp(1318622958, UTC)


def test_the_published_example() -> None:
    assert signature(KEYS, "POST", URL, PARAMETERS) == "Ls93hJiZbQ3akF3HF3x1Bz8/zU4="


def test_the_published_base_string_has_two_ampersands() -> None:
    made = base_string("post", URL, PARAMETERS)
    assert made.count("&") == 2
    assert made.startswith(
        "POST&https%3A%2F%2Fapi.x.com%2F1.1%2Fstatuses%2Fupdate.json&include_entities%3Dtrue%26oauth"
    )
    assert made.endswith(
        "%26status%3DHello%2520Ladies%2520%252B%2520Gentlemen%252C%2520a%2520signed%2520OAuth%2520request%2521"
    )


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("HTTPS://API.X.com:443/2/a?b=c#d", "https://api.x.com/2/a"),
        ("http://127.0.0.1:8080/2/a", "http://127.0.0.1:8080/2/a"),
        ("http://[::1]:80/a", "http://[::1]/a"),
        ("https://api.x.com", "https://api.x.com/"),
    ],
)
def test_the_signed_address_is_bare(url: str, signed: str) -> None:
    assert bare(url) == signed


@given(text=TEXT)
def test_encoding_leaves_only_what_the_standard_leaves(text: str) -> None:
    made = encoded(text)
    assert re.fullmatch(r"([A-Za-z0-9._~-]|%[0-9A-F]{2})*", made)
    assert unquote(made) == text


@given(query=st.dictionaries(TEXT.filter(bool), TEXT, max_size=4))
def test_a_query_is_signed_alike_wherever_it_stands(query: dict[str, str]) -> None:
    beside = header(KEYS, "GET", URL, query=query, nonce="n", at=AT)
    within = header(KEYS, "GET", f"{URL}?{urlencode(query)}", nonce="n", at=AT)
    assert beside == within


@given(one=TEXT, other=TEXT)
def test_what_is_signed_shows_in_the_signature(one: str, other: str) -> None:
    made = [header(KEYS, "GET", URL, query={"text": it}, nonce="n", at=AT) for it in (one, other)]
    assert (made[0] == made[1]) == (one == other)


def test_the_header_names_everything_but_the_secrets() -> None:
    made = header(KEYS, "POST", URL, nonce="a nonce", at=AT)
    assert made.startswith(
        'OAuth oauth_consumer_key="xvz1evFS4wEEPTGEFPHBog", oauth_nonce="a%20nonce", oauth_signature="'
    )
    assert 'oauth_timestamp="1318622958"' in made
    assert KEYS.consumer_secret not in made
    assert KEYS.token_secret not in made
    assert "xvz1" not in repr(KEYS)
