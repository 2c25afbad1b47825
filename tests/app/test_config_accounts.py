"""Two channels of one account: every message would come twice, so the second is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import load
from app.problems import ConfigProblems

TOP = """
public_url = "https://support.shop.example"
[shop]
name = "Kumbara"
country = "TR"
timezone = "Europe/Istanbul"
languages = ["tr"]
[slack]
bot_token = "xoxb-1"
app_token = "xapp-1"
[[teams]]
name = "support"
slack_channel = "C0123456789"
"""
TWILIO = 'account_sid = "AC01"\nauth_token = "geheim"\n'
META = 'access_token = "geheim"\napp_secret = "geheim"\nverify_token = "geheim"\n'
X = 'consumer_key = "a"\nconsumer_secret = "b"\naccess_token = "c"\naccess_token_secret = "d"\n'
KEYS = {"sms": TWILIO, "whatsapp-twilio": TWILIO, "x": X, "telegram": ""}


def channel(name: str, kind: str, key: str, value: str) -> str:
    return f'[[channels]]\nname = "{name}"\nkind = "{kind}"\n{KEYS.get(kind, META)}{key} = "{value}"\n'


def said(folder: Path, *channels: str, **environ: str) -> list[str]:
    path = folder / "santral.toml"
    path.write_text(TOP + "".join(channels))
    try:
        load(path, environ)
    except ConfigProblems as problems:
        return [str(problem) for problem in problems.problems]
    return []


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (("sms", "sender", "+905321234567"), ("sms", "sender", " +905321234567"), "has the same sender"),
        (("sms", "sender", "KUMBARA"), ("sms", "sender", "Kumbara"), "has the same sender"),
        (("whatsapp-twilio", "sender", "+905321234567"), ("whatsapp-twilio", "sender", "whatsapp:+905321234567"),
         "has the same sender"),
        (("sms", "messaging_service_sid", "MG1"), ("whatsapp-twilio", "messaging_service_sid", "MG1"),
         "has the same messaging_service_sid"),
        (("whatsapp", "phone_number_id", "106"), ("whatsapp", "phone_number_id", "106"),
         "has the same phone_number_id"),
        (("messenger", "page_id", "108"), ("messenger", "page_id", "108"), "has the same page_id"),
        (("instagram", "ig_id", "1784"), ("instagram", "ig_id", "1784"), "has the same ig_id"),
        (("x", "user_id", "22"), ("x", "user_id", "22"), "has the same user_id"),
        (("telegram", "token", "9:geheim_alt"), ("telegram", "token", "9:geheim_neu"), "is the same bot"),
    ],
)  # fmt: skip
def test_the_second_channel_of_an_account_is_refused(tmp_path, first, second, what):
    fix = "give every channel its own, or remove one of the two"
    assert said(tmp_path, channel("one", *first), channel("two", *second)) == [
        f'channels[2] "two" . {second[1]}: channels[1] {what}; {fix}'
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("sms", "sender", "+905321234567"), ("whatsapp-twilio", "sender", "+905321234567")),
        (("sms", "messaging_service_sid", "MG1"), ("sms", "messaging_service_sid", "MG2")),
        (("messenger", "page_id", "108"), ("messenger", "page_id", "109")),
        (("messenger", "page_id", "108"), ("instagram", "ig_id", "108")),
        (("telegram", "token", "9:geheim"), ("telegram", "token", "8:geheim")),
    ],
)
def test_different_accounts_may_stand_beside_each_other(tmp_path, first, second):
    assert said(tmp_path, channel("one", *first), channel("two", *second)) == []


def test_messenger_and_instagram_may_name_one_page(tmp_path):
    both = channel("ig", "instagram", "ig_id", "1784") + 'page_id = "108"\n'
    assert said(tmp_path, channel("fb", "messenger", "page_id", "108"), both) == []


def test_a_value_from_the_environment_is_seen_and_not_shown(tmp_path):
    (line,) = said(
        tmp_path,
        channel("one", "telegram", "token", "9:geheim"),
        channel("two", "telegram", "token", "${SECOND}"),
        SECOND="9:geheim",
    )
    assert "is the same bot" in line
    assert "geheim" not in line
