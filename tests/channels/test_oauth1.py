"""OAuth 1.0a signatures: X's own published example, and what must hold for every request."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import unquote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.x.oauth1 import Keys, encoded, header

# docs.x.com/fundamentals/authentication/oauth-1-0a/creating-a-signature; its keys were never good for anything else
KEYS = Keys(
    consumer_key="xvz1evFS4wEEPTGEFPHBog",
    consumer_secret="kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
    token="370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
    token_secret="LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
)
URL = "https://api.x.com/1.1/statuses/update.json"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
AT = datetime.fromtimestamp(1318622958, UTC)


def test_the_published_example() -> None:
    told = {"status": "Hello Ladies + Gentlemen, a signed OAuth request!", "include_entities": "true"}
    made = header(KEYS, "post", URL, query=told, nonce="kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg", at=AT)
    assert 'oauth_signature="Ls93hJiZbQ3akF3HF3x1Bz8%2FzU4%3D"' in made


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("HTTPS://API.X.com:443/2/a#d", "https://api.x.com/2/a"),
        ("http://[::1]:80/a", "http://[::1]/a"),
        ("https://api.x.com", "https://api.x.com/"),
        ("https://api.x.com/a?b=[c]", "https://api.x.com/a?b=%5Bc%5D"),
    ],
)
def test_two_ways_to_write_an_address_are_signed_alike(url: str, signed: str) -> None:
    assert header(KEYS, "GET", url, nonce="n", at=AT) == header(KEYS, "GET", signed, nonce="n", at=AT)


def test_a_port_of_its_own_is_signed() -> None:
    made = {header(KEYS, "GET", f"http://127.0.0.1{port}/2/a", nonce="n", at=AT) for port in ("", ":8080", ":8081")}
    assert len(made) == 3


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
    assert made.startswith("OAuth ")
    told = dict(part.split("=", 1) for part in made.removeprefix("OAuth ").split(", "))
    assert told.pop("oauth_signature")
    assert told == {
        "oauth_consumer_key": '"xvz1evFS4wEEPTGEFPHBog"',
        "oauth_nonce": '"a%20nonce"',
        "oauth_signature_method": '"HMAC-SHA1"',
        "oauth_timestamp": '"1318622958"',
        "oauth_token": f'"{KEYS.token}"',
        "oauth_version": '"1.0"',
    }
    assert KEYS.consumer_secret not in made
    assert KEYS.token_secret not in made
    assert "xvz1" not in repr(KEYS)
