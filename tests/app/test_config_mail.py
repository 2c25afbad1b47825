"""A shop owner writes an e-mail channel: each mistake is told at its key with its fix, and no password is shown."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from app.check import reached_by
from app.config import Config, load
from app.config.mail import reading_us
from app.problems import ConfigProblems
from channels.mail.imap.account import Account as Reading
from channels.mail.send.account import Account as Sending

HEAD = """
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
[[teams]]
name = "returns"
slack_channel = "C0123456788"
"""
IMAP = "imaps://u:geheim@imap.example:993"
SMTP = "smtps://u:geheim@smtp.example:465"
FORM = "in user and password @ is %40, : %3A, / %2F, ? %3F, # %23, % %25"
NO_TOKEN = "oauth_token_url, oauth_client_id, and oauth_client_secret or oauth_refresh_token are missing"
OAUTH = (
    'oauth_token_url = "https://login.example/token"\noauth_client_id = "abc"\noauth_refresh_token = "geheim-refresh"\n'
)


def channel(more: str = "", *, name: str = "mail", address: str = "support@shop.example", **urls: str) -> str:
    found = {"imap": IMAP, "smtp": SMTP, **urls}
    lines = "".join(f'{key} = "{url}"\n' for key, url in found.items())
    return f'[[channels]]\nname = "{name}"\nkind = "email"\naddress = "{address}"\n{lines}{more}\n'


@pytest.fixture
def config(tmp_path: Path):
    def read(*channels: str, environ: dict[str, str] | None = None) -> Config:
        path = tmp_path / "santral.toml"
        path.write_text(HEAD + "".join(channels), encoding="utf-8")
        return load(path, environ or {})

    return read


@pytest.fixture
def said(config):
    def problems(*channels: str, environ: dict[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigProblems) as caught:
            config(*channels, environ=environ)
        assert "geheim" not in str(caught.value)
        return [str(problem).removeprefix('channels[1] "mail"') for problem in caught.value.problems]

    return problems


# --- The URLs of the servers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "rest", "what"),
    [
        ("imaps", "u:ge/heim@h:993", "has an unescaped / in its user name or password; "),
        ("imaps", "u:ge#heim@h:993", "has an unescaped # in its user name or password; "),
        ("imaps", "u:ge?heim@h:993", "has an unescaped ? in its user name or password; "),
        ("imaps", "u:12/34@h", "has an unescaped / in its user name or password; "),
        ("smtps", "u:ge/heim@h:465", "has an unescaped / in its user name or password; "),
        ("smtps", "u:?geheim@h:465", "has an unescaped ? in its user name or password; "),
        ("imaps", "u:geheim@h:99999", "has a port that is none; write a number from 1 to 65535 after the host, or"),
        ("imaps", "u:geheim@h:abc", "has a port that is none; write a number from 1 to 65535 after the host, or"),
        ("imaps", "u:geheim@h:0", "has a port that is none; write a number from 1 to 65535 after the host, or"),
        ("smtp", "u:geheim@h:587x", "has a port that is none; write a number from 1 to 65535 after the host, or"),
        ("https", "u:geheim@h", "is not the address of an "),
        ("imaps", "u:geheim@", "is not the address of an IMAP server; "),
        ("imaps", "u:geheim@a..b", "is not the address of an IMAP server; "),
        ("imaps", "h:993", "has no user name and password; "),
        ("smtps", "u@h", "has a user name but no password; "),
        ("smtps", ":geheim@h", "has no user name; "),
        ("imaps", "u:ge%0Aheim@h", "has a control character in its user name or password; "),
    ],
)
def test_a_server_that_cannot_be_understood_is_told_with_how_to_escape(said, scheme, rest, what):
    key = "smtp" if scheme.startswith("smtp") else "imap"
    (line,) = said(channel(**{key: f"{scheme}://{rest}"}))
    assert line.startswith(f" . {key}: {what}")
    assert line.endswith(f"write {key}s://user:password@{key}.example; {FORM}")


@pytest.mark.parametrize(
    ("key", "url", "line"),
    [
        ("imap", "imaps://u:geheim@h/INBOX",
         "has a path; remove what stands after the host; the inbox is always read, others are named in folders"),
        ("smtp", "smtps://u:geheim@h/x", "has a path; remove what stands after the host"),
        ("imap", "imaps://u:geheim@h?tls=off",
         "has an unknown part after the host; only ?auth=xoauth2 and ?starttls=off can stand there"),
        ("imap", "imaps://u:geheim@h#x",
         "has an unknown part after the host; only ?auth=xoauth2 and ?starttls=off can stand there"),
        ("smtp", "smtp://u:geheim@h?starttls=off",
         "has an unknown part after the host; only ?auth=xoauth2 can stand there"),
        ("imap", "imaps://u:geh eim@h",
         "has a space in it; write it without; one that belongs to the password is %20"),
        ("imap", "imaps://u:-@h", "has - for a password; write the password, or add ?auth=xoauth2 for OAuth"),
        ("listen", "lmtp://127.0.0.1:99999",
         "is not where mail is delivered; write lmtp://127.0.0.1:2424 or smtp://0.0.0.0:25"),
    ],
)  # fmt: skip
def test_what_a_server_url_cannot_have(said, key, url, line):
    assert said(channel(**{key: url})) == [f" . {key}: {line}"]


def test_a_database_with_a_slash_in_its_password_is_told_how_to_escape_it(tmp_path):
    path = tmp_path / "santral.toml"
    path.write_text('database_url = "postgres://u:ge/heim@db/santral"\n' + HEAD, encoding="utf-8")
    with pytest.raises(ConfigProblems) as caught:
        load(path, {})
    assert "database_url: is not the address of a PostgreSQL; write postgres://" in str(caught.value)
    assert "/ %2F" in str(caught.value)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(lambda text: text != "-")
)
def test_every_password_can_be_written_and_is_understood_as_it_was(tmp_path_factory, password):
    path = tmp_path_factory.getbasetemp() / "password.toml"
    written = quote(password, safe="")
    path.write_text(HEAD + channel(imap=f"imaps://u:{written}@h:993", smtp=f"smtps://u:{written}@h"), encoding="utf-8")
    (mail,) = load(path, {}).channels
    assert Reading.from_url(mail.settings()["imap"]).password == password
    assert Sending.from_url(mail.settings()["smtp"]).password == password


@given(st.text(st.sampled_from("u:/?#@[]%20-.x1&=") | st.characters(exclude_categories=["Cs", "Cc"]), max_size=25))
def test_what_is_accepted_is_understood_when_the_mailbox_is_opened(tmp_path_factory, rest):
    path = tmp_path_factory.getbasetemp() / "anything.toml"
    path.write_text(HEAD + channel(imap="${IMAP}", smtp="${SMTP}"), encoding="utf-8")
    try:
        (mail,) = load(path, {"IMAP": f"imaps://u:p@{rest}", "SMTP": f"smtps://{rest}"}).channels
    except ConfigProblems:
        return
    Reading.from_url(mail.settings()["imap"])
    Sending.from_url(mail.settings()["smtp"])


# --- OAuth ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [":", ":-", ""])
def test_xoauth2_needs_a_token_or_where_to_get_one(said, config, password):
    urls = {"imap": f"imaps://u{password}@h?auth=xoauth2", "smtp": f"smtps://u{password}@h?auth=xoauth2"}
    assert said(channel(**urls)) == [
        f": imap and smtp with ?auth=xoauth2 and no password: {NO_TOKEN}; "
        "add them, or put an access token in the place of the password"
    ]
    assert config(channel(OAUTH, **urls)).channels


def test_xoauth2_with_an_access_token_in_the_url_needs_nothing_more(config):
    assert config(channel(imap="imaps://u:ya29.abc@h?auth=xoauth2")).channels


def test_one_server_without_a_token_is_enough_to_be_told(said):
    (line,) = said(channel(smtp="smtps://u:-@h?auth=xoauth2"))
    assert line.startswith(": smtp with ?auth=xoauth2 and no password: ")


@pytest.mark.parametrize(
    ("keys", "lacks"),
    [
        ('oauth_scope = "x"', "oauth_token_url and oauth_client_id and oauth_client_secret or oauth_refresh_token"),
        ('oauth_client_id = "x"\noauth_client_secret = "geheim"', "oauth_token_url"),
        ('oauth_client_id = "x"\noauth_token_url = "https://x.example"', "oauth_client_secret or oauth_refresh_token"),
    ],
)
def test_half_of_oauth_is_told(said, keys, lacks):
    assert said(channel(keys)) == [
        f": OAuth lacks {lacks}; "
        "it takes oauth_token_url, oauth_client_id, and oauth_client_secret or oauth_refresh_token"
    ]


def test_tokens_are_asked_for_in_secret(said, config):
    plain = OAUTH.replace("https://login.example", "http://10.0.0.5")
    assert said(channel(plain)) == [
        " . oauth_token_url: is not encrypted; write https://; http is for this machine"
    ]  # fmt: skip
    assert config(channel(OAUTH.replace("https://login.example", "http://127.0.0.1:8080"))).channels


# --- Files and keys -------------------------------------------------------------------------------------------------


def pem(key, locked: bool = False) -> str:
    lock: KeySerializationEncryption = BestAvailableEncryption(b"geheim") if locked else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock).decode()


def authority() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Kumbara")])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1,
        not_valid_before=at, not_valid_after=at + timedelta(days=9),
    )  # fmt: skip
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_certificates_lie_beside_the_file_wherever_the_command_is_called(config, tmp_path, monkeypatch):
    (tmp_path / "ca.pem").write_bytes(authority())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (mail,) = config(channel('cafile = "ca.pem"')).channels
    assert mail.settings()["cafile"] == str(tmp_path / "ca.pem")


def test_certificates_that_cannot_be_used(said, tmp_path):
    (tmp_path / "no.pem").write_text("-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n")
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "key.pem").write_text(pem(ed25519.Ed25519PrivateKey.generate()))
    name = "name a PEM file of certificates; a relative name begins beside the configuration file"
    holds = "holds no certificate that can be read; name a PEM file; it has a line -----BEGIN CERTIFICATE-----"
    assert said(channel('cafile = "none.pem"')) == [f' . cafile: "none.pem" does not exist; {name}']
    assert said(channel('cafile = "."')) == [f' . cafile: "." is a folder; {name}']
    for file in ("no.pem", "empty.pem", "key.pem"):
        assert said(channel(f'cafile = "{file}"')) == [f' . cafile: "{file}" {holds}']
    assert said(channel('cafile = "~nobody-here/ca.pem"'))[0].startswith(
        ' . cafile: "~nobody-here/ca.pem" begins with a home'
    )


def dkim(key: str, **more: str) -> dict[str, object]:
    return {"environ": {"KEY": key, **more}}


def test_signing_keys(said, config):
    ours = channel('dkim_selector = "santral"\ndkim_key = "${KEY}"')
    good = ed25519.Ed25519PrivateKey.generate()
    assert config(ours, **dkim(pem(good))).channels
    assert config(ours, **dkim(pem(good).replace("\n", "\\n"))).channels
    assert config(ours, **dkim(base64.b64encode(good.private_bytes_raw()).decode())).channels
    at = " . dkim_key: the value of KEY"
    assert said(ours, **dkim("/etc/dkim/geheim.pem")) == [
        f"{at} cannot be read: it has to be a private key in PEM; "
        'write the key itself, not the name of its file, like dkim_key = "${DKIM_KEY}"'
    ]
    assert said(ours, **dkim(pem(good, locked=True))) == [
        f"{at} is locked with a password; save it without one"
    ]  # fmt: skip
    assert said(ours, **dkim(pem(ec.generate_private_key(ec.SECP256R1()))))[0].startswith(
        f"{at} is neither RSA nor Ed25519"
    )
    short = rsa.generate_private_key(65537, 1024)
    assert config(ours, **dkim(pem(short))).channels


def test_names_under_which_is_signed(said):
    key = f'dkim_key = "{base64.b64encode(bytes(32)).decode()}"\n'
    no_name = "is not a name that DNS can hold"
    assert said(channel(key + 'dkim_selector = "a b"')) == [
        f' . dkim_selector: "a b" {no_name}; write what stands before ._domainkey in DNS, like santral'
    ]
    assert said(channel(key + 'dkim_selector = "s"\ndkim_domain = "çiçek.example"')) == [
        f' . dkim_domain: "çiçek.example" {no_name}; write it like shop.example, with ü and ş in its xn-- form'
    ]
    assert said(channel(key + 'dkim_selector = "s"', address="destek@çiçek.example")) == [
        " . dkim_domain: is missing; add the domain of address in its xn-- form, which DNS holds"
    ]


def test_what_a_provider_signs_with_is_looked_at(said):
    top = 'inbound = "ses"\ninbound_topic = "orders"'
    lines = said(channel(top))
    assert lines[0].startswith(" . inbound_topic: cannot be what ses gives; ")
    assert "arn:aws:sns:" in lines[0]
    assert said(channel('inbound = "postmark"\ninbound_secret = "geheim"'))[0].startswith(
        " . inbound_secret: cannot be what postmark gives; "
    )


# --- Who writes, and who judges -------------------------------------------------------------------------------------


def test_senders_are_of_teams_there_are(said, config):
    known = "the teams are support, returns"
    assert said(channel('senders = { return = "iade@shop.example", x = "iade@shop.example" }')) == [
        f' . senders: there is no team "return"; did you mean returns? {known}',
        f' . senders: there is no team "x"; {known}',
    ]
    written = 'senders = { returns = "Kumbara İade <iade@shop.example>", support = "a@shop.example" }'
    (mail,) = config(channel(written)).channels
    assert mail.settings()["senders"]["returns"] == "Kumbara İade <iade@shop.example>"


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ('"Kumbara"', '"Kumbara" is neither an address nor a name with one; write '),
        ('"Kumbara <iade>"', '"Kumbara <iade>" is neither an address nor a name with one; write '),
        ('"a@b.example, c@d.example"', '"a@b.example, c@d.example" is neither an address nor a name with one; write '),
        ('"A, B <a@b.example>"', '"A, B <a@b.example>" has a name that needs quotes; write '),
        ('"Ü <ü@b.example>"', '"Ü <ü@b.example>" is not an address that mail can be sent from; before the @ '),
        ('"A\\nB <a@b.example>"', "has a line break or another invisible character in it; write it in one line"),
        ('""', "is empty"),
        ("7", "must be text in quotes"),
    ],
)
def test_a_sender_is_an_address_with_or_without_a_name(said, value, what):
    (line,) = said(channel(f"senders = {{ returns = {value} }}"))
    assert line.startswith(f" . senders.returns: {what}")


def test_a_sender_wrong_twice_is_told_twice(said):
    lines = said(channel('senders = { x = "y" }'))
    assert [line.partition(": ")[0] for line in lines] == [" . senders.x", " . senders"]


def test_senders_that_are_no_table(said):
    assert said(channel('senders = "iade@shop.example"')) == [
        ' . senders: is not a list of teams; write { support = "Kumbara <support@shop.example>" }'
    ]


def test_an_address_mail_cannot_be_sent_from(said):
    (line,) = said(channel(address="müşteri@shop.example"))
    assert line.startswith(' . address: "müşteri@shop.example" is not an address that mail can be sent from; ')


@pytest.mark.parametrize(
    ("value", "near"),
    [
        ("https://mx.google.com", "did you mean mx.google.com? "),
        ("mx.google.com;", "did you mean mx.google.com? "),
        ("mx.google.com.", "did you mean mx.google.com? "),
        ("mx google com", ""),
        ("mx.google.com 1", ""),
        ("*", ""),
        ("*.com", ""),
        ("mx.*.com", ""),
        ("çiçek.example", ""),
    ],
)
def test_a_receiver_is_named_as_it_names_itself(said, value, near):
    assert said(channel(f'trusted_authserv = ["{value}"]')) == [
        f' . trusted_authserv[1]: "{value}" is not how a receiver names itself; {near}write the host alone, '
        'like mx.google.com, or *.yandex.net for all below a domain, or "" for one without a name'
    ]


def test_receivers_as_they_are(config):
    (mail,) = config(channel('trusted_authserv = ["MX.Google.com ", "*.yandex.net", "", "mailserver"]')).channels
    assert mail.settings()["trusted_authserv"] == ("mx.google.com", "*.yandex.net", "", "mailserver")


@pytest.mark.parametrize("hidden", ["\\n", "\\r", "\\u0000", "\\u2028", "\\u0085", "\\u202E"])
def test_names_have_one_line(tmp_path, hidden):
    path = tmp_path / "santral.toml"
    name = f"Kum{hidden}bara"
    path.write_text(HEAD.replace('"Kumbara"', f'"{name}"') + channel(f'from_name = "{name}"'), encoding="utf-8")
    with pytest.raises(ConfigProblems) as caught:
        load(path, {})
    what = "has a line break or another invisible character in it; write it in one line, with visible characters only"
    assert [str(problem) for problem in caught.value.problems] == [
        f"shop.name: {what}", f'channels[1] "mail" . from_name: {what}',
    ]  # fmt: skip


def test_a_name_may_have_emoji_and_be_left_empty(config):
    names = [config(channel(f'from_name = "{name}"')).channels[0].from_name for name in ("Kumbara 👩‍👧 ", "")]
    assert names == ["Kumbara 👩‍👧", ""]


def test_a_name_that_is_too_long_is_told_once(said):
    assert said(channel(f'from_name = "{"x" * 81}"')) == [" . from_name: is longer than 80 characters"]


# --- Two channels ---------------------------------------------------------------------------------------------------


def other(**changed: str) -> str:
    return channel(**{"name": "sales", "address": "sales@shop.example", "imap": "imaps://v:geheim@h", **changed})


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        ({}, {"address": "Support@shop.example"},
         "address: channels[1] has the same address; give every channel its own, or remove one of the two"),
        ({}, {"imap": "imap://U:other@imap.example"},
         "imap: channels[1] reads the same mailbox; keep one of the two, and name the other address in its aliases"),
        ({"listen": "lmtp://127.0.0.1:2424"}, {"listen": "lmtp://127.0.0.1:2424"},
         "listen: channels[1] listens at the same place; "
         "give each its own port, or keep one with the other address in aliases"),
    ],
)  # fmt: skip
def test_two_channels_do_not_bring_the_same_mail(said, first, second, line):
    assert said(channel(**first), other(**second)) == [f'channels[2] "sales" . {line}']


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("imaps://u:p@h", "imaps://v:p@h"),
        ("imaps://u:p@h", "imaps://u:p@i"),
        ("imap://u:p@127.0.0.1:1143", "imap://u:p@127.0.0.1:2143"),  # tunnels
    ],
)
def test_two_mailboxes_of_one_shop(config, one, two):
    assert len(config(channel(imap=one), other(imap=two)).channels) == 2


def test_variables_that_are_not_set_are_told_and_nothing_is_made_up_about_them(said):
    keys = (
        'dkim_selector = "s"\ndkim_key = "${K}"\ninbound = "ses"\ninbound_topic = "${T}"\nsenders = {support = "${S}"}'
    )
    unset = "is not set in the environment; export it or write the value"
    top = channel(keys, imap="${I}", smtp="${M}")
    assert sorted(said(top, other(imap="${I}"))) == sorted([
        f" . imap: I {unset}", f" . smtp: M {unset}", f" . dkim_key: K {unset}", f" . inbound_topic: T {unset}",
        f" . senders.support: S {unset}", f'channels[2] "sales" . imap: I {unset}',
        ": its provider has no address to call: public_url is missing; add public_url at the top of the file",
    ])  # fmt: skip


# --- Reading a mail -------------------------------------------------------------------------------------------------


def test_a_mail_is_looked_at_without_any_server_or_password(tmp_path):
    path = tmp_path / "santral.toml"
    bot = '[[channels]]\nname = "bot"\nkind = "telegram"\ntoken = "${NO_TOKEN}"\n'
    more = (
        'aliases = ["info@shop.example"]\ncontact_forms = ["noreply@shop.example"]\ntrusted_authserv = ["mx.a.example"]'
    )
    path.write_text(
        '[slack]\nbot_token = "${NO_BOT}"\n'
        + bot
        + channel(more, imap="${UNSET}", smtp="${UNSET}")
        + other(address="sales@gmail.com", cafile="none.pem"),
        encoding="utf-8",
    )
    us = reading_us(path, {})
    assert us.addresses == {"support@shop.example", "info@shop.example", "sales@gmail.com"}
    assert us.domains == {"shop.example"}
    assert us.contact_forms == {"noreply@shop.example"}
    assert us.trusted_authserv == {"mx.a.example"}


def test_without_an_email_channel_nobody_is_us(tmp_path):
    path = tmp_path / "santral.toml"
    path.write_text('[[channels]]\nname = "bot"\nkind = "telegram"\ntoken = "${NO_TOKEN}"\n', encoding="utf-8")
    us = reading_us(path, {})
    assert not us.addresses | us.domains | us.trusted_authserv


def test_what_a_mail_is_read_with_must_be_right(tmp_path):
    path = tmp_path / "santral.toml"
    path.write_text(channel('trusted_authserv = ["a b"]', address="nobody", imap="${UNSET}"), encoding="utf-8")
    with pytest.raises(ConfigProblems) as caught:
        reading_us(path, {})
    assert [problem.key for problem in caught.value.problems] == [
        'channels[1] "mail" . address', 'channels[1] "mail" . trusted_authserv[1]',
    ]  # fmt: skip
    path.write_text("channels = 7", encoding="utf-8")
    with pytest.raises(ConfigProblems):
        reading_us(path, {})


def test_when_a_mailbox_does_not_answer_its_own_keys_are_named(config):
    (mail,) = config(channel()).channels
    assert reached_by(mail) == "imap and smtp"
    (mail,) = config(f'[[channels]]\nname = "m"\nkind = "email"\naddress = "a@shop.example"\nsmtp = "{SMTP}"\n'
                     'listen = "lmtp://127.0.0.1:2424"\n').channels  # fmt: skip
    assert reached_by(mail) == "smtp"
    (bot,) = config('[[channels]]\nname = "b"\nkind = "telegram"\ntoken = "1:AA"\n').channels
    assert reached_by(bot) == "api_url"
