"""A shop owner writes `santral.toml`: what is right is understood, what is wrong is said in words, all at once."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import Config, IntakeConfig, StoreConfig, load, slack_calls
from app.config.kinds import KINDS, MetaConfig, TelegramConfig
from app.config.values import Listen
from app.config.variables import expand
from app.config.whole import SECTIONS
from app.policy import policy_of
from app.problems import ConfigProblems, Wrong, without_secrets
from channels.registry import KINDS as ADAPTERS
from channels.registry import make

ROOT = Path(__file__).parents[2]
ENVIRON = {
    "SLACK_BOT_TOKEN": "xoxb-1234-geheim",
    "SLACK_SIGNING_SECRET": "imza-geheim",
    "SLACK_APP_TOKEN": "xapp-1-geheim",
    "TELEGRAM_TOKEN": "123456789:AA-geheim",
    "DATABASE_URL": "postgres://santral:geheim@db.example:5432/santral",
}

SHOP = """
[shop]
name = "Kumbara"
country = "TR"
timezone = "Europe/Istanbul"
languages = ["tr", "ru", "en"]
"""
SLACK = """
[slack]
bot_token = "${SLACK_BOT_TOKEN}"
app_token = "${SLACK_APP_TOKEN}"
"""
TEAM = """
[[teams]]
name = "support"
slack_channel = "C0123456789"
"""
BOT = """
[[channels]]
name = "bot"
kind = "telegram"
token = "${TELEGRAM_TOKEN}"
"""
GOOD = SHOP + SLACK + TEAM + BOT


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "santral.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def said(path: Path, environ: dict[str, str] | None = None, **options) -> list[str]:
    """What the problems say, one line each."""
    with pytest.raises(ConfigProblems) as caught:
        load(path, ENVIRON if environ is None else environ, **options)
    return [str(problem) for problem in caught.value.problems]


# --- What is right --------------------------------------------------------------------------------------------------


def test_the_least_that_works(written):
    path = written(GOOD)
    config = load(path, ENVIRON)
    assert config.public_url is None
    assert config.listen == Listen("127.0.0.1", 8080)
    assert config.data_dir == path.parent / "var"
    assert config.database_url is None
    assert str(config.shop.zone) == "Europe/Istanbul"
    assert config.slack.socket_mode
    assert config.slack.api_url == "https://slack.com/api/"
    (team,) = config.teams
    assert (team.replies, team.ask_first, team.undo_delay.total_seconds(), team.members) == ("send", True, 5.0, ())
    (bot,) = config.channels
    assert isinstance(bot, TelegramConfig)
    assert bot.token.get_secret_value() == ENVIRON["TELEGRAM_TOKEN"]
    assert (bot.receive, bot.api_url) == ("poll", "https://api.telegram.org")


def test_the_example_file_works_as_it_is():
    load(ROOT / "santral.example.toml", ENVIRON)


def test_every_commented_key_of_the_example_is_right_too(written, tmp_path):
    text = (ROOT / "santral.example.toml").read_text(encoding="utf-8")
    (tmp_path / "rules.toml").touch()
    (tmp_path / "templates").mkdir()
    config = load(written(re.sub(r"^# (?=\w+ = |\[)", "", text, flags=re.MULTILINE)), ENVIRON)
    policy_of(config)
    assert config.public_url
    assert config.database_url
    assert config.teams[0].hours
    assert config.targets.urgent
    assert config.agents


def test_every_key_is_in_the_guide():
    guide = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    keys = {key for model in (Config, *SECTIONS.values(), *KINDS.values()) for key in model.model_fields}
    assert sorted(key for key in keys if f"`{key}`" not in guide and f"[{key}]" not in guide) == []


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("0.0.0.0:80", Listen("0.0.0.0", 80)),
        ("[::1]:8080", Listen("::1", 8080)),
        (":8080", Listen("", 8080)),
        ("localhost:0", Listen("localhost", 0)),
    ],
)
def test_listen(written, listen, expected):
    assert load(written(f'listen = "{listen}"\n{GOOD}'), ENVIRON).listen == expected


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [
        ("https://support.example.com", "https://support.example.com"),
        ("https://support.example.com/", "https://support.example.com"),
        ("https://example.com/desk/", "https://example.com/desk"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://192.168.1.7", "http://192.168.1.7"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://santral:8080", "http://santral:8080"),
        ("http://shop.test", "http://shop.test"),
    ],
)
def test_public_url_makes_telegram_call_us(written, public_url, expected):
    config = load(written(f'public_url = "{public_url}"\n{GOOD}'), ENVIRON)
    assert config.public_url == expected
    assert config.channels[0].receives == "webhook"


def test_the_webhook_secret_stays_the_same_and_belongs_to_the_token(written):
    first, again = (load(written(GOOD), ENVIRON).channels[0] for _ in range(2))
    other = load(written(GOOD), {**ENVIRON, "TELEGRAM_TOKEN": "1:other"}).channels[0]
    given = load(written(GOOD + 'secret = "chosen_By-me"\n'), ENVIRON).channels[0]
    assert first.secret == again.secret != other.secret
    assert re.fullmatch(r"[A-Za-z0-9_-]{32,256}", first.secret.get_secret_value())
    assert ENVIRON["TELEGRAM_TOKEN"] not in first.secret.get_secret_value()
    assert given.secret.get_secret_value() == "chosen_By-me"


def test_the_data_folder_is_beside_the_file_wherever_the_command_is_called(written, tmp_path, monkeypatch):
    path = written(f'data_dir = "state"\n{GOOD}')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load(Path("../santral.toml"), ENVIRON).data_dir.resolve() == (path.parent / "state").resolve()


def test_a_file_from_a_windows_editor_is_read(tmp_path):
    path = tmp_path / "santral.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(path, ENVIRON).shop.name == "Kumbara"


def test_numbers_and_switches_may_come_from_the_environment(written):
    text = GOOD.replace(TEAM, TEAM + 'undo_seconds = "${UNDO}"\nask_first = "${ASK}"\n')
    (team,) = load(written(text), {**ENVIRON, "UNDO": "0", "ASK": "false"}).teams
    assert (team.undo_seconds, team.ask_first) == (0, False)


def test_a_line_break_after_a_secret_does_no_harm(written):
    config = load(written(GOOD), {**ENVIRON, "SLACK_BOT_TOKEN": "xoxb-1\n"})
    assert config.slack.bot_token.get_secret_value() == "xoxb-1"


ALL_KINDS = (
    GOOD
    + """
[[channels]]
name = "mail"
kind = "email"
address = "support@shop.example"
imap = "imaps://support%40shop.example:p%2Fw-geheim@imap.example:993?auth=xoauth2"
smtp = "smtp://user:geheim-2@smtp.example:587"
trusted_authserv = ["mx.google.com"]

[[channels]]
name = "sms"
kind = "sms"
account_sid = "AC0123"
auth_token = "geheim-3"
sender = "+905321234567"

[[channels]]
name = "wa-twilio"
kind = "whatsapp-twilio"
account_sid = "AC0123"
auth_token = "geheim-3"
messaging_service_sid = "MG0123"

[[channels]]
name = "whatsapp"
kind = "whatsapp"
phone_number_id = "106540352242922"
access_token = "geheim-4"
app_secret = "geheim-5"
verify_token = "geheim-6"

[[channels]]
name = "messenger"
kind = "messenger"
page_id = "108"
access_token = "geheim-4"
app_secret = "geheim-5"
verify_token = "geheim-6"

[[channels]]
name = "instagram"
kind = "instagram"
ig_id = "1784"
access_token = "geheim-4"
app_secret = "geheim-5"
verify_token = "geheim-6"

[[channels]]
name = "x"
kind = "x"
consumer_key = "geheim-7"
consumer_secret = "geheim-8"
access_token = "geheim-9"
access_token_secret = "geheim-10"
user_id = "2244994945"

[[channels]]
name = "chat"
kind = "webchat"
origins = ["https://shop.example"]
identity_secret = "geheim-11"
"""
)


CALLED = 'public_url = "https://s.example"\n' + GOOD
INSTAGRAM = """
[[channels]]
name = "instagram"
kind = "instagram"
ig_id = "1784"
access_token = "geheim-4"
app_secret = "geheim-5"
verify_token = "geheim-6"
"""


def test_every_kind_of_channel_can_be_written(written):
    config = load(written('public_url = "https://s.example"\n' + ALL_KINDS), ENVIRON)
    assert [channel.kind for channel in config.channels] == [*["telegram", "email", "sms", "whatsapp-twilio"], *[
        "whatsapp", "messenger", "instagram", "x", "webchat",
    ]]  # fmt: skip


def test_an_adapter_is_made_from_its_section(written):
    (bot,) = load(written('public_url = "https://s.example"\n' + GOOD), ENVIRON).channels
    made = make(bot.kind, bot.name, bot.settings())
    assert (made.name, made.kind) == ("bot", "telegram")
    assert bot.settings() == {
        "token": ENVIRON["TELEGRAM_TOKEN"],
        "receive": "webhook",
        "secret": bot.secret.get_secret_value(),
        "api_url": "https://api.telegram.org",
    }


def test_channels_of_one_app_of_metas_know_each_other(written):
    second = """
[[channels]]
name = "ikinci"
kind = "messenger"
page_id = "109"
access_token = "geheim-12"
app_secret = "geheim-5"
verify_token = "geheim-6"

[[channels]]
name = "ucuncu"
kind = "messenger"
page_id = "110"
access_token = "geheim-13"
app_secret = "geheim-14"
verify_token = "geheim-6"
"""
    config = load(written('public_url = "https://s.example"\n' + ALL_KINDS + second), ENVIRON)
    siblings = {c.name: config.settings_of(c)["siblings"] for c in config.channels if isinstance(c, MetaConfig)}
    assert siblings == {
        "whatsapp": (),
        "messenger": (("109", "ikinci"),),
        "instagram": (),
        "ikinci": (("108", "messenger"),),
        "ucuncu": (),
    }
    for channel in config.channels:
        make(channel.kind, channel.name, config.settings_of(channel))


def test_the_kinds_that_exist_are_those_with_an_adapter():
    assert ADAPTERS.keys() == KINDS.keys()


# --- What commands need ---------------------------------------------------------------------------------------------


def test_commands_about_the_database_need_nothing_else(written):
    path = written('data_dir = "state"\ndatabase_url = "${DATABASE_URL}"\n' + SLACK + "[[channels]]\n")
    config = load(path, {"DATABASE_URL": ENVIRON["DATABASE_URL"]}, needs=StoreConfig)
    assert config.database_url
    assert config.database_url.get_secret_value() == ENVIRON["DATABASE_URL"]


def test_commands_about_channels_need_no_slack(written):
    assert load(written(SHOP + BOT), ENVIRON, needs=IntakeConfig).channels[0].name == "bot"
    assert load(written(SHOP + SLACK), {}, needs=IntakeConfig).channels == ()


def test_serve_needs_everything(written):
    assert said(written("")) == [
        "shop: is missing; add [shop] with name, country, timezone and languages",
        "slack: is missing; add [slack] with bot_token, and app_token or signing_secret",
        "teams: is missing; add [[teams]] with a name and a slack_channel",
    ]


def test_a_key_that_nobody_knows_is_refused_even_where_little_is_needed(written):
    assert said(written('datadir = "x"'), needs=StoreConfig) == [
        "datadir: is not a key that Santral knows; did you mean data_dir?"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('public_url = "https://s.example/"\n[slack]\nsigning_secret = "${NOT_YET}"', "https://s.example"),
        ('public_url = "https://s.example/"\n[slack]\napp_token = "${NOT_YET}"', None),
        ('database_url = "${NOT_YET}"', None),
    ],
)
def test_what_slack_is_to_call_is_known_from_an_unfinished_file(written, text, expected):
    assert slack_calls(written(text), {}) == expected


# --- What is wrong --------------------------------------------------------------------------------------------------

BROKEN = [
    # the environment
    (GOOD.replace("TELEGRAM_TOKEN", "TG_SECRET"),
     'channels[1] "bot" . token: TG_SECRET is not set in the environment; export it or write the value'),
    (GOOD.replace("SLACK_APP_TOKEN", "SLACK_APP_TOKN"),
     "slack.app_token: SLACK_APP_TOKN is not set in the environment; did you mean SLACK_APP_TOKEN?"),
    (GOOD.replace("${TELEGRAM_TOKEN}", "${TELEGRAM_TOKEN"),
     'channels[1] "bot" . token: the value has a "${" that no variable name and "}" follow; '
     "write $${ for the two characters themselves"),
    # keys
    ('databse_url = "x"\n' + GOOD, "databse_url: is not a key that Santral knows; did you mean database_url?"),
    (GOOD + 'tokn = "x"', 'channels[1] "bot" . tokn: is not a key that Santral knows; did you mean token?'),
    (SHOP + 'listen = ":80"\n' + SLACK + TEAM,
     "shop.listen: is not a key that Santral knows; it belongs at the top of the file, before the first section"),
    (SHOP + SLACK + TEAM + 'signing_secret = "x"',
     'teams[1] "support" . signing_secret: is not a key that Santral knows; it belongs in [slack]'),
    (GOOD.replace('token = "${TELEGRAM_TOKEN}"', 'tokn = "${TELEGRAM_TOKEN}"'),
     'channels[1] "bot" . tokn: is not a key that Santral knows; did you mean token?'),
    (CALLED.replace("public_url", "public_ulr") + INSTAGRAM,
     "public_ulr: is not a key that Santral knows; did you mean public_url?"),
    (GOOD.replace("app_token", "app_tokn"), "slack.app_tokn: is not a key that Santral knows; did you mean app_token?"),
    (GOOD.replace("[[teams]]", "[[team]]"), "team: is not a key that Santral knows; did you mean [[teams]]?"),
    (GOOD.replace("[slack]", "[slcak]"), "slcak: is not a key that Santral knows; did you mean [slack]?"),
    (GOOD.replace('token = "${TELEGRAM_TOKEN}"', ""),
     'channels[1] "bot" . token: is missing; add token = "${TELEGRAM_TOKEN}"'),
    # the top
    ('listen = "8080"\n' + GOOD,
     'listen: "8080" is not host:port; write "127.0.0.1:8080", "[::1]:8080", or ":8080" for every interface'),
    ('listen = ":65536"\n' + GOOD,
     'listen: ":65536" is not host:port; write "127.0.0.1:8080", "[::1]:8080", or ":8080" for every interface'),
    ('public_url = "http://support.example.com"\n' + GOOD,
     "public_url: is not encrypted; write https://; http is for this machine, private networks and tests"),
    ('public_url = "support.example.com"\n' + GOOD,
     "public_url: is not a web address; write it like https://support.example.com"),
    ('public_url = "https://a.example/?x=1"\n' + GOOD,
     "public_url: has a ? or # in it; keep only the address, with a path at most"),
    ('public_url = "https://a.example:9443"\n' + GOOD,
     "public_url: Telegram calls the ports 443, 80, 88 and 8443 only; use one of them"),
    ('public_url = "https://a.example:99999"\n' + GOOD,
     "public_url: is not an address; write it like https://support.example.com"),
    ('database_url = "mysql://geheim@db/x"\n' + GOOD,
     "database_url: is not the address of a PostgreSQL; write postgres://user:password@host:5432/database, "
     "or leave the key out for the built-in PostgreSQL"),
    ('data_dir = "santral.toml"\n' + GOOD,
     'data_dir: "santral.toml" is a file; name a folder; it is made if it does not exist'),
    # the shop
    (GOOD.replace("Europe/Istanbul", "Istanbul"),
     'shop.timezone: "Istanbul" is not a time zone; did you mean Europe/Istanbul?'),
    (GOOD.replace("Europe/Istanbul", "Europe/Istambul"),
     'shop.timezone: "Europe/Istambul" is not a time zone; did you mean Europe/Istanbul?'),
    (GOOD.replace('"TR"', '"Turkey"'),
     'shop.country: "Turkey" is not a country code of two letters; did you mean TR?'),
    (GOOD.replace('"TR"', '"QQ"'),
     'shop.country: "QQ" is not a country code of two letters; write one like TR, DE or US (ISO 3166)'),
    (GOOD.replace('"ru"', '"russian"'), 'shop.languages[2]: "russian" is not a language code; did you mean ru?'),
    (GOOD.replace('"ru"', '"pt_BR"'), 'shop.languages[2]: "pt_BR" is not a language code; did you mean pt-BR?'),
    (GOOD.replace('"ru"', '"tr"'), "shop.languages: names tr twice; name each once"),
    (GOOD.replace('["tr", "ru", "en"]', "[]"), "shop.languages: needs at least one entry"),
    (GOOD.replace('["tr", "ru", "en"]', '"tr"'),
     'shop.languages: must be a list in square brackets, like ["one", "two"]'),
    (GOOD.replace('"Kumbara"', "7"), "shop.name: must be text in quotes"),
    (GOOD.replace('"Kumbara"', '"  "'), "shop.name: is empty"),
    # Slack
    (GOOD.replace("${SLACK_BOT_TOKEN}", "${SLACK_SIGNING_SECRET}"),
     "slack.bot_token: the value of SLACK_SIGNING_SECRET is not a bot token: it does not begin with xoxb-; "
     "copy the Bot User OAuth Token from OAuth & Permissions of your Slack app"),
    (GOOD.replace('app_token = "${SLACK_APP_TOKEN}"', ""),
     "slack: neither app_token nor signing_secret is given; add app_token for Socket Mode (no public address needed), "
     "or signing_secret if Slack calls public_url"),
    (GOOD.replace("[slack]", "[slack]\nposts_per_second = 0"), "slack.posts_per_second: must be more than 0"),
    (GOOD.replace("[slack]", "[slack]\nposts_per_second = true"),
     "slack.posts_per_second: must be a number, without quotes"),
    (GOOD.replace("[slack]", "[slack]\nposts_per_second = nan"), "slack.posts_per_second: must be an ordinary number"),
    (GOOD.replace("[slack]", "[[slack]]"),
     "slack: is not a section; write [slack] on a line of its own, in single brackets, and its keys below"),
    # teams
    (GOOD.replace("[[teams]]", "[teams]"), "teams: is not a list of sections; write [[teams]] in double brackets, "
     "once for each"),
    ("teams = []\n" + SHOP + SLACK, "teams: needs at least one entry"),
    (GOOD.replace("C0123456789", "#support"),
     'teams[1] "support" . slack_channel: "#support" is not the id of a Slack channel; in Slack open the channel, '
     "click its name, and copy the id at the bottom of About (C0123456789); a name like #support can change"),
    (GOOD.replace(TEAM, TEAM + 'members = ["U0123456789", "@anna"]\n'),
     'teams[1] "support" . members[2]: "@anna" is not the id of a person or user group in Slack; copy the member id '
     "from the ⋮ menu of a Slack profile (U0123456789), or the id of a user group (S…)"),
    (GOOD.replace(TEAM, TEAM + 'replies = "sent"\n'),
     'teams[1] "support" . replies: must be "send" or "note"; did you mean send?'),
    (GOOD.replace(TEAM, TEAM + "undo_seconds = 61\n"), 'teams[1] "support" . undo_seconds: must be 60 or less'),
    (GOOD.replace(TEAM, TEAM + 'hours = ""\n'), 'teams[1] "support" . hours: is empty'),
    (GOOD.replace(TEAM, TEAM + TEAM), 'teams[2] "support" . name: teams[1] has the same name; choose another'),
    # channels
    (GOOD + BOT.replace('"bot"', '"BOT"').replace("${TELEGRAM_TOKEN}", "2:other"),
     'channels[2] "BOT" . name: channels[1] has the same name; choose another'),
    (
        GOOD.replace('name = "bot"', 'name = "Slack"'),
        'channels[1] "Slack" . name: is what Slack\'s own side is called; choose another',
    ),
    (GOOD.replace('"bot"', '"our bot"'),
     'channels[1].name: "our bot" cannot be a name; use letters a-z, digits, - and _, at most 40, like support-bot'),
    (GOOD.replace('"telegram"', '"telegrm"'),
     'channels[1] "bot" . kind: "telegrm" is no kind of channel; did you mean telegram?'),
    (GOOD.replace('kind = "telegram"', ""), 'channels[1] "bot" . kind: is missing; add kind = "telegram"'),
    (GOOD + 'receive = "webhook"',
     'channels[1] "bot": its provider has no address to call: public_url is missing; '
     'add public_url at the top of the file, or write receive = "poll"'),
    (GOOD + 'secret = "with space"',
     'channels[1] "bot" . secret: is not what Telegram takes: 1 to 256 letters, digits, _ and -; '
     "leave the key out: Santral then makes one from the token"),
    (GOOD + 'api_url = "http://api.telegram.example"',
     'channels[1] "bot" . api_url: is not encrypted; '
     "write https://; http is for this machine, private networks and tests"),
    (CALLED + INSTAGRAM + 'token_until = "next week"',
     'channels[2] "instagram" . token_until: "next week" is not a date; write it like "2026-12-31"'),
    (CALLED + INSTAGRAM.replace('"geheim-6"', '""'), 'channels[2] "instagram" . verify_token: is empty; '
     "write its value, or leave the key out if it is not needed"),
    # TOML itself
    ("[shop]\nname = Kumbara\n",
     "line 2, column 8: a value is not written right; text needs double quotes; numbers, true and false need none"),
    ('[shop]\nname = "Kumbara\n',
     "line 2, column 16: a text is not closed before the line ends; add the closing quote; "
     'a text of several lines stands between """ and """'),
    ("[shop]\n[shop]\n", "line 2, column 6: a section is given twice; keep one of the two"),
    ("languages = [1, 2", "at the end of the file: a list is not closed, or a comma is missing; "
     "add the comma or the closing ]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), BROKEN, ids=[line[:60] for _, line in BROKEN])
def test_one_mistake_is_said_in_exactly_one_line(written, text, line):
    assert said(written(text)) == [line]


def test_every_problem_is_listed_at_once_in_the_order_of_the_guide(written):
    path = written(
        'public_url = "http://shop.example.com"\n'
        + SHOP.replace("Europe/Istanbul", "Istanbul").replace("TR", "Turkey")
        + SLACK
        + TEAM.replace("C0123456789", "#support")
        + BOT.replace('"telegram"', '"telegrm"')
    )
    assert [line.partition(": ")[0] for line in said(path, {})] == [
        "public_url",
        "shop.country",
        "shop.timezone",
        "slack.bot_token",
        "slack.app_token",
        'teams[1] "support" . slack_channel',
        'channels[1] "bot" . token',
        'channels[1] "bot" . kind',
    ]


WRITE_IT_SO = "is not a WhatsApp sender; write the number with + and country, like +905321234567"


@pytest.mark.parametrize(
    ("kind", "sender", "line"),
    [
        ("sms", "whatsapp:+905321234567",
         '"whatsapp:+905321234567" is a WhatsApp sender; write the number alone, or kind = "whatsapp-twilio"'),
        ("whatsapp-twilio", "KUMBARA", f'"KUMBARA" {WRITE_IT_SO}'),
        ("whatsapp-twilio", "3344", f'"3344" {WRITE_IT_SO}'),
    ],
)  # fmt: skip
def test_a_sender_of_the_other_kind_is_said(written, kind, sender, line):
    account = 'account_sid = "AC0123"\nauth_token = "geheim-3"\n'
    channel = f'\n[[channels]]\nname = "line"\nkind = "{kind}"\n{account}sender = "{sender}"\n'
    path = written('public_url = "https://s.example"\n' + GOOD + channel)
    assert said(path) == [f'channels[2] "line" . sender: {line}']


@pytest.mark.parametrize("port", [":443", ":8443"])
def test_x_calls_no_address_with_a_port(written, port):
    keys = "".join(f'{key} = "geheim-7"\n' for key in ("consumer_key", "consumer_secret", "access_token"))
    channel = (
        f'\n[[channels]]\nname = "x"\nkind = "x"\nuser_id = "2244994945"\n{keys}access_token_secret = "geheim-8"\n'
    )
    path = written(f'public_url = "https://s.example{port}"\n' + GOOD + channel)
    told = "public_url: X takes no address with a port in it; leave the port out and serve it at 443"
    assert said(path) == [told]
    assert load(written('public_url = "https://s.example"\n' + GOOD + channel), ENVIRON).channels[1].kind == "x"


def test_the_list_is_headed_by_the_file_and_the_count(written):
    path = written(GOOD)
    with pytest.raises(ConfigProblems) as caught:
        load(path, {**ENVIRON, "TELEGRAM_TOKEN": "x", "SLACK_APP_TOKEN": ""})
    head, *lines = str(caught.value).splitlines()
    assert head == f"{path}: 2 problems"
    assert lines == [
        "  slack.app_token: SLACK_APP_TOKEN is empty in the environment; export it with a value or remove the key",
        '  channels[1] "bot" . token: the value of TELEGRAM_TOKEN is not a bot token; '
        "copy it from @BotFather; it looks like 123456789:AA…",
    ]


def test_a_missing_file_says_how_to_begin(tmp_path):
    with pytest.raises(ConfigProblems) as caught:
        load(tmp_path / "none.toml", {})
    assert str(caught.value) == (
        f"{tmp_path / 'none.toml'}: there is no such file; "
        "try `santral demo`, which needs none, or copy santral.example.toml and fill it in"
    )


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "this is a folder; name the file in it"),
        (b"name = '\xfe'", "the file is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_what_is_no_text_file(tmp_path, content, line):
    path = tmp_path / "santral.toml"
    path.mkdir() if content is None else path.write_bytes(content)
    assert said(path) == [line]


# --- Secrets --------------------------------------------------------------------------------------------------------

SECRET = "5ecret-n0body-may-see-1234567890"


@pytest.mark.parametrize(
    "path_and_value",
    [
        ("slack", "bot_token", SECRET),
        ("slack", "app_token", f"xoxb-{SECRET}"),
        ("slack", "api_url", f"https://x:{SECRET}@slack.example/"),
        ("bot", "token", f"bot{SECRET}"),
        ("bot", "secret", f"{SECRET} {SECRET}"),
        ("bot", "api_url", f"https://api.telegram.org/?token={SECRET}"),
        ("bot", "name", f"123:{SECRET}"),
        ("bot", "receive", SECRET),
        ("bot", "unknown", SECRET),
        ("top", "database_url", f"mysql://u:{SECRET}@h/d"),
        ("top", "database_url", f"postgres://u:{SECRET}@h:port/d"),
        ("top", "public_url", f"https://u:{SECRET}@h.example"),
    ],
    ids=lambda value: ".".join(value[:2]),
)
@pytest.mark.parametrize("from_environment", [True, False])
def test_no_problem_shows_a_secret_not_even_at_a_wrong_key(written, path_and_value, from_environment):
    place, key, value = path_and_value
    line = f'{key} = "{"${V}" if from_environment else value}"\n'
    sections = {"top": "", "slack": SLACK, "bot": BOT}
    sections[place] = re.sub(rf"(?m)^{key} = .*\n", "", sections[place]) + line
    path = written(sections["top"] + SHOP + sections["slack"] + TEAM + sections["bot"])
    with pytest.raises(ConfigProblems) as caught:
        load(path, {**ENVIRON, "V": value})
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_the_words_around_a_syntax_error_are_not_repeated(written):
    assert SECRET not in "".join(said(written(f"[slack]\nbot_token = {SECRET}\n")))
    assert SECRET not in "".join(said(written(f'[slack]\nbot_token = "{SECRET}\n')))


def test_neither_the_log_nor_a_repr_shows_a_secret(written):
    config = load(
        written('public_url = "https://s.example"\ndatabase_url = "${DATABASE_URL}"\n' + ALL_KINDS),
        ENVIRON,
    )
    logged = str(config.redacted())
    for text in (logged, repr(config), str(config)):
        assert "geheim" not in text
    assert "postgres://db.example:5432/santral" in logged
    assert "imaps://imap.example:993" in logged
    assert "Kumbara" in logged


def test_every_secret_can_be_masked_in_a_text(written):
    config = load(
        written('public_url = "https://s.example"\ndatabase_url = "${DATABASE_URL}"\n' + ALL_KINDS),
        ENVIRON,
    )
    leak = (
        f"cannot open {ENVIRON['DATABASE_URL']} or https://api.telegram.org/bot{ENVIRON['TELEGRAM_TOKEN']}/x p/w-geheim"
    )
    assert "geheim" not in without_secrets(leak, config.secrets())


# --- Environment variables in values --------------------------------------------------------------------------------

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_characters="$", exclude_categories=["Cs"]), max_size=20)
TEXTS = st.text(st.sampled_from("${}ab_ \n") | st.characters(exclude_categories=["Cs"]), max_size=30)


@given(TEXTS)
def test_escaped_text_comes_back_as_it_was(text):
    assert expand(text.replace("${", "$${"), {}) == text


@given(st.lists(st.tuples(PLAIN, NAMES, TEXTS.filter(str.strip)), max_size=4), PLAIN)
def test_variables_are_replaced_wherever_they_stand_and_only_once(parts, end):
    environ = {name: value for _, name, value in parts}
    written = "".join(f"{before}${{{name}}}" for before, name, _ in parts) + end
    expected = "".join(before + environ[name] for before, name, _ in parts) + end
    assert expand(written, environ) == expected


@given(TEXTS, st.dictionaries(NAMES, st.just(SECRET)))
def test_whatever_is_written_it_is_expanded_or_refused_without_showing_a_value(text, environ):
    try:
        expand(text, environ)
    except Wrong as wrong:
        assert SECRET not in f"{wrong.what}{wrong.fix}"


@given(st.text(st.sampled_from(string.printable), max_size=200))
def test_any_text_at_all_is_a_configuration_or_a_list_of_problems(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigProblems) as caught:
        load(path, {})
    assert caught.value.problems


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.sampled_from(["", "x", "C01", "${A}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "kind", "token"]), inner),
    max_leaves=6,
)


@given(key=st.sampled_from(sorted(Config.model_fields)), value=VALUES)
def test_any_kind_of_value_at_any_key_ends_in_words(tmp_path_factory, key, value):
    path = tmp_path_factory.getbasetemp() / "value.toml"
    path.write_text(f"{key} = {_toml(value)}\n", encoding="utf-8")
    with pytest.raises(ConfigProblems):
        load(path, {})


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return '"x"' if value is None else f'"{value}"' if isinstance(value, str) else repr(value)
