"""`[contact]` in the configuration: what it means, and what does not fit is told with its fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import Config, load
from app.contact import Settings, settings_of
from app.problems import ConfigProblems

HEAD = """
public_url = "https://support.example.com"
[shop]
name = "Kumbara"
country = "TR"
timezone = "Europe/Istanbul"
languages = ["tr", "fr", "ru"]
[slack]
bot_token = "xoxb-1"
app_token = "xapp-1"
[[teams]]
name = "support"
slack_channel = "C0123456789"
"""
BOT = '[[channels]]\nname = "bot"\nkind = "telegram"\ntoken = "1:a"\n'
MAIL = """
[[channels]]
name = "{0}"
kind = "email"
address = "{0}@shop.example"
imap = "imaps://{0}:p@imap.example:993"
smtp = "smtps://{0}:p@smtp.example:465"
"""


def read(tmp_path: Path, *parts: str) -> Config:
    path = tmp_path / "santral.toml"
    path.write_text(HEAD + "".join(parts), encoding="utf-8")
    return load(path, {})


def test_without_a_word_there_are_a_page_and_a_form_on_the_first_mailbox(tmp_path: Path) -> None:
    config = read(tmp_path, BOT, MAIL.format("info"), MAIL.format("sales"))
    assert settings_of(config) == Settings(
        channel="info", mailbox="info@shop.example", page=True, languages=("tr", "ru")
    )


def test_another_mailbox_may_take_it_in_other_languages(tmp_path: Path) -> None:
    contact = '[contact]\nchannel = "sales"\nlanguages = ["ru"]\npage = false\n'
    config = read(tmp_path, MAIL.format("info"), MAIL.format("sales"), contact)
    assert settings_of(config) == Settings(channel="sales", mailbox="sales@shop.example", page=False, languages=("ru",))


def test_without_a_mailbox_there_is_a_page_alone_and_it_may_be_left_out(tmp_path: Path) -> None:
    assert settings_of(read(tmp_path, BOT)) == Settings(page=True, languages=("tr", "ru"))
    assert settings_of(read(tmp_path, BOT, "[contact]\npage = false\n")) is None
    assert settings_of(read(tmp_path, MAIL.format("info"), "[contact]\npage = false\nform = false\n")) is None


@pytest.mark.parametrize(
    ("contact", "told"),
    [
        ('channel = "inof"', 'contact.channel: "inof" is no channel; did you mean info?'),
        ('channel = "zzz"', 'contact.channel: "zzz" is no channel; name one of info'),
        (
            'channel = "bot"',
            'contact.channel: "bot" is no mailbox, and the form is answered by mail; name one of info',
        ),
        ('languages = ["en"]', 'contact.languages[1]: "en" is no language of the shop; [shop] has tr, fr, ru'),
        ('languages = ["fr"]', 'contact.languages[1]: the page has no words in "fr"; it has ar, de, en, ru, tr'),
        ('languages = ["tr", "tr"]', "contact.languages: names tr twice; name each once"),
        ("forms = true", "contact.forms: is not a key that Santral knows; did you mean form?"),
    ],
)
def test_what_does_not_fit_is_told_with_its_fix(tmp_path: Path, contact: str, told: str) -> None:
    with pytest.raises(ConfigProblems) as caught:
        read(tmp_path, BOT, MAIL.format("info"), f"[contact]\n{contact}\n")
    assert [str(problem) for problem in caught.value.problems] == [told]


def test_who_asks_for_a_form_without_a_mailbox_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblems) as caught:
        read(tmp_path, BOT, "[contact]\nform = true\n")
    (problem,) = caught.value.problems
    assert str(problem).startswith("contact.form: there is no mailbox from which it could be answered")
