"""Bounces, complaints and read receipts: who did not get which of our mails, and whether the address is dead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.mail.judge import bounces, machines
from channels.mail.parse import mime
from channels.mail.tokens import message_id, tagged, token
from channels.mail.values import Envelope, Fate, Mail, Mailbox, MailKind, Report, Verdict
from tests.mail.bounces import DELIVERY, US, names, sample

OURS = message_id(DELIVERY, "ornek.com.tr")
HARD, POLICY, SOFT = "hard", "ours", "soft"

# File, who failed, outcome, enhanced code, how bad; "?" where the notice names no code.
SAMPLES = """
aol                   bob@aol.example               failed    ?       soft
by-token-only         ?                             failed    ?       soft
chinese-qq            wang@qq.example               failed    ?       hard
domino                jean@example.fr               failed    5.1.1   hard
domino-text           lucie@notes.example           failed    5.1.1   hard
exchange-2003         uwe@firma.example             failed    5.1.1   hard
exchange-html-only    rita@firma.example            failed    5.1.1   hard
exim-cpanel           gul@example.net               failed    5.1.1   hard
exim-rfc3464          zeynep@example.net            failed    5.0.0   hard
exim-unrouteable      x@nowhere.example             failed    ?       soft
exim-warning          yavas@example.net             delayed   ?       soft
expired               sven@slow.example             failed    4.4.1   soft
forwarded             alias@forwarder.example       failed    5.1.1   hard
french-free           amelie@free.example           failed    5.1.1   hard
gmail-rate            deniz@gmail.com               delayed   4.2.1   soft
gmail-turkish         selin.k@gmail.com             failed    5.2.2   soft
gmail-unauthenticated deniz@gmail.com               failed    5.7.26  ours
gmail-unknown         yok.boyle.biri@gmail.com      failed    5.1.1   hard
gmx                   jana@gmx.example              failed    ?       soft
icloud                mia@icloud.example            failed    5.1.1   hard
ironport              nina@example.com              failed    5.1.0   hard
italian               giulia@posta.example          failed    5.2.2   soft
japanese              sato@mail.example.jp          failed    5.1.1   hard
m365-dbeb             kai@fabrikam.example          failed    5.4.1   hard
m365-policy           lena@contoso.example          failed    5.7.515 ours
m365-turkish          can@contoso.example           failed    5.1.1   hard
m365-unknown          erik@contoso.example          failed    5.1.10  hard
mailenable            cem@mailenable.example        failed    ?       hard
mailru                sveta@mail.ru                 failed    ?       hard
mailru-russian        pavel@mail.ru                 failed    ?       soft
mdaemon               rob@mdaemon.example           failed    5.1.1   hard
opensmtpd             otto@example.org              failed    5.1.1   hard
outlook-unavailable   tom@hotmail.example           failed    5.5.0   hard
polish                ewa@poczta.example            failed    5.1.1   hard
portuguese            joana@correio.example         failed    5.1.1   hard
postfix-delayed       fatma@example.net             delayed   4.4.1   soft
postfix-delivered     fatma@example.net             relayed   2.0.0   soft
postfix-full          mehmet@example.org            failed    5.2.2   soft
postfix-no-domain     ali@gmial.example             failed    5.4.4   hard
postfix-old           hale@example.com              failed    ?       soft
postfix-unknown       ayse.yilmaz@example.com       failed    5.1.1   hard
proofpoint-notext     ida@pp.example                failed    5.2.1   hard
qmail                 kenji@example.jp              failed    5.1.1   hard
qmail-remote          yuki@example.jp               failed    5.7.1   ours
sender-refused        pia@example.com               failed    5.1.8   ours
sendmail              burak@cs.example.edu          failed    5.1.1   hard
ses                   hans@example.de               failed    5.1.1   hard
smtp-return           ole@old.example               failed    5.1.1   hard
spanish               lucia@correo.example          failed    5.1.1   hard
turkish-full          elif@barindirma.example       failed    ?       soft
turkish-host          derya@firma.example           failed    ?       hard
two-recipients        a@example.com                 failed    5.1.1   hard
ukrainian             olha@ukr.example              failed    5.1.1   hard
verizon               905551112233@carrier.example  failed    5.7.1   ours
webde-german          karl@web.example              failed    ?       hard
yahoo                 lara@yahoo.com                failed    ?       hard
yandex-rfc3464        irina@yandex.ru               failed    5.7.1   hard
yandex-spam           oleg@yandex.ru                failed    5.7.1   ours
zimbra                paolo@example.it              failed    5.1.1   hard
"""
TABLE = [tuple("" if word == "?" else word for word in line.split()) for line in SAMPLES.strip().splitlines()]
# Those that carry no id of ours: only the recipient tells what they are about.
NAMELESS = {
    "aol",
    "chinese-qq",
    "domino-text",
    "exchange-2003",
    "exchange-html-only",
    "exim-warning",
    "french-free",
    "icloud",
    "italian",
    "japanese",
    "mailru-russian",
    "mdaemon",
    "polish",
    "portuguese",
    "proofpoint-notext",
    "ses",
    "smtp-return",
    "spanish",
    "turkish-full",
    "ukrainian",
    "verizon",
}


def judged(raw: bytes | str, envelope: Envelope | None = None) -> Verdict:
    raw = raw.encode() if isinstance(raw, str) else raw
    return machines.judge(mime.parse(raw), envelope or Envelope(), US, raw)


def badness(fate: Fate) -> str:
    assert not (fate.hard and fate.ours)
    return HARD if fate.hard else POLICY if fate.ours else SOFT


# --- which mail, which recipient, how bad


def test_every_sample_is_expected() -> None:
    assert [row[0] for row in TABLE] == names()
    assert len(TABLE) >= 45


@pytest.mark.parametrize(("name", "recipient", "outcome", "code", "how"), TABLE, ids=[row[0] for row in TABLE])
def test_a_bounce_tells_who_failed_and_whether_the_address_is_dead(
    name: str, recipient: str, outcome: str, code: str, how: str
) -> None:
    verdict = judged(sample(name))
    assert (verdict.kind, verdict.automatic) == (MailKind.BOUNCE, True)
    fate = verdict.fates[0]
    assert (fate.recipient, fate.outcome, fate.code, badness(fate)) == (recipient, outcome, code, how)
    assert verdict.deliveries == (() if name in NAMELESS else (DELIVERY,))


def test_nearly_all_bounces_can_be_attributed() -> None:
    every = [judged(sample(name)) for name in names()]
    by_id = sum(bool(verdict.deliveries) for verdict in every)
    by_name = sum(any(fate.recipient for fate in verdict.fates) for verdict in every)
    either = sum(bool(v.deliveries) or any(fate.recipient for fate in v.fates) for v in every)
    print(f"\nbounces: {len(every)}, by our id {by_id}, by recipient {by_name}, either {either}")
    assert either / len(every) >= 0.95
    assert by_name / len(every) >= 0.95


def test_a_bounce_for_several_people_tells_each_fate() -> None:
    fates = judged(sample("two-recipients")).fates
    assert [(fate.recipient, fate.outcome, fate.code, fate.hard) for fate in fates] == [
        ("a@example.com", "failed", "5.1.1", True),
        ("b@example.com", "delayed", "4.2.2", False),
    ]


def test_an_id_that_the_provider_put_in_place_of_ours_is_handed_on() -> None:
    assert judged(sample("ses")).about[0] == "<0102019a4711-aaaa-bbbb-000000@eu-west-1.amazonses.com>"


def test_our_own_id_comes_first_and_the_bounces_own_id_is_not_what_it_is_about() -> None:
    verdict = judged(sample("gmail-unknown"))
    assert verdict.about[0] == OURS
    loop = sample("gmail-unknown").replace(b"From:", b"References: <gmail-unknown@mx.example.net>\r\nFrom:", 1)
    assert "<gmail-unknown@mx.example.net>" not in judged(loop).about


def test_the_mark_in_the_recipient_is_enough() -> None:
    raw = sample("by-token-only").replace(token(DELIVERY).encode(), b"nobody")
    assert judged(raw).deliveries == ()
    there = Envelope(mail_from="", recipients=(tagged("destek@ornek.com.tr", "b", DELIVERY),))
    assert judged(raw, there).deliveries == (DELIVERY,)


def test_a_delay_then_a_delivery_is_no_failure() -> None:
    for name in ("postfix-delayed", "gmail-rate", "exim-warning", "postfix-delivered"):
        for fate in judged(sample(name)).fates:
            assert fate.outcome != "failed"
            assert not fate.hard and not fate.ours


# --- codes


def report(status: str, said: str, action: str = "failed") -> Fate:
    text = f"Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; a@b.example\nAction: {action}\nStatus: {status}\n"
    text += f"Diagnostic-Code: smtp; {said}\n"
    mail = Mail(reports=(Report(media_type="message/delivery-status", text=text),))
    verdict = bounces.judge(mail, Envelope(), US)
    assert verdict is not None
    return verdict.fates[0]


@pytest.mark.parametrize(
    ("status", "said", "how"),
    [
        ("5.1.1", "550 5.1.1 unknown", HARD),
        ("5.1.2", "550 5.1.2 bad destination system", HARD),
        ("5.1.10", "550 5.1.10 RecipientNotFound", HARD),
        ("5.2.1", "550 5.2.1 account disabled", HARD),
        ("5.4.310", "550 5.4.310 DNS domain does not exist", HARD),
        ("5.0.0", "550 User unknown", HARD),
        ("5.5.0", "550 5.5.0 Requested action not taken: mailbox unavailable", HARD),
        ("5.2.1", "550 5.2.1 The user you are trying to contact is receiving mail at a rate that", SOFT),
        ("5.2.2", "552 5.2.2 over quota", SOFT),
        ("5.0.0", "552 Mailbox is full", SOFT),
        ("5.3.4", "552 5.3.4 Message size exceeds fixed limit", SOFT),
        ("5.4.7", "554 5.4.7 delivery time expired", SOFT),
        ("4.2.2", "452 4.2.2 mailbox full", SOFT),
        ("4.1.1", "450 4.1.1 user unknown in this table, perhaps", SOFT),
        ("5.1.8", "550 5.1.8 sender domain does not exist", POLICY),
        ("5.7.1", "554 5.7.1 relay refused by policy", POLICY),
        ("5.7.26", "550-5.7.26 unauthenticated", POLICY),
        ("5.7.515", "550 5.7.515 Access denied", POLICY),
        ("5.0.0", "554 Your IP is listed on a blocklist", POLICY),
        ("5.0.0", "550 spam message rejected", POLICY),
        ("5.3.0", "554 5.3.0 rejected because of DMARC", POLICY),
    ],
)
def test_only_a_code_that_says_so_makes_an_address_dead(status: str, said: str, how: str) -> None:
    assert badness(report(status, said)) == how


def test_nothing_but_a_failure_makes_an_address_dead() -> None:
    for action in ("delayed", "delivered", "relayed", "expanded"):
        assert badness(report("5.1.1", "550 5.1.1 unknown", action)) == SOFT


def test_words_without_a_permanent_code_never_silence_an_address() -> None:
    raw = "From: MAILER-DAEMON@mx.example\nSubject: Undelivered Mail\n\n<a@b.example>: user unknown, no such user\n"
    verdict = judged(raw)
    assert (verdict.fates[0].recipient, verdict.fates[0].hard) == ("a@b.example", False)


def test_a_version_or_an_address_of_a_host_is_no_status_code() -> None:
    raw = (
        "From: MAILER-DAEMON@mx.example\nSubject: failure notice\n\nExim 4.96.2 at 5.1.1.7:\n<a@b.example> timed out\n"
    )
    assert judged(raw).fates[0].code == ""


def test_our_own_address_is_never_the_one_that_failed() -> None:
    raw = (
        "From: MAILER-DAEMON@mx.example\nSubject: failure notice\n\n"
        f"Mail from <destek@ornek.com.tr> to {tagged('destek@ornek.com.tr', 'r', DELIVERY)} bounced 550 5.1.1\n"
    )
    assert judged(raw).fates[0].recipient == ""


def test_a_status_that_stands_only_in_the_diagnosis_is_found() -> None:
    assert report("5.0.0", "550-5.1.1 The email account").code == "5.1.1"
    assert report("", "550 5.1.1 The email account").code == "5.1.1"


# --- complaints and read receipts


def made(report_type: str, report_text: str, subject: str = "report", original: str = "") -> str:
    enclosed = f"--x\nContent-Type: message/rfc822\n\n{original}\n" if original else ""
    return (
        f"From: robot@provider.example\nTo: destek@ornek.com.tr\nSubject: {subject}\n"
        f'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=x; boundary="x"\n\n'
        f"--x\nContent-Type: text/plain\n\nSee the report.\n"
        f"--x\nContent-Type: {report_type}\n\n{report_text}\n{enclosed}--x--\n"
    )


ORIGINAL = f"From: destek@ornek.com.tr\nTo: kizgin@example.com\nSubject: Kampanya\nMessage-ID: {OURS}\n\nMerhaba\n"


def test_a_complaint_names_who_complained_about_which_mail() -> None:
    arf = "Feedback-Type: abuse\nUser-Agent: FBL/1.0\nVersion: 1\nOriginal-Rcpt-To: <kizgin@example.com>\n"
    verdict = judged(made("message/feedback-report", arf, "Email Feedback Report", ORIGINAL))
    assert (verdict.kind, verdict.deliveries, verdict.about) == (MailKind.REPORT, (DELIVERY,), (OURS,))
    assert [(fate.recipient, fate.outcome, fate.hard) for fate in verdict.fates] == [
        ("kizgin@example.com", "delivered", False)
    ]


def test_a_complaint_without_a_recipient_takes_it_from_the_mail_it_encloses() -> None:
    verdict = judged(made("message/feedback-report", "Feedback-Type: abuse\nVersion: 1\n", original=ORIGINAL))
    assert verdict.fates[0].recipient == "kizgin@example.com"


def test_a_complaint_of_several_names_them_all() -> None:
    arf = "Feedback-Type: abuse\nOriginal-Rcpt-To: a@b.example\nOriginal-Rcpt-To: c@d.example\n"
    fates = judged(made("message/feedback-report", arf)).fates
    assert [fate.recipient for fate in fates] == ["a@b.example", "c@d.example"]


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "dmarc"])
def test_other_feedback_is_no_complaint(kind: str) -> None:
    verdict = judged(made("message/feedback-report", f"Feedback-Type: {kind}\nOriginal-Rcpt-To: a@b.example\n"))
    assert (verdict.kind, verdict.fates) == (MailKind.REPORT, ())


def receipt(disposition: str) -> Verdict:
    text = f"Final-Recipient: rfc822;ayse@example.com\nOriginal-Message-ID: {OURS}\nDisposition: {disposition}\n"
    return judged(made("message/disposition-notification", text, "Read: Siparişiniz"))


def test_a_read_receipt_tells_which_mail_was_read() -> None:
    verdict = receipt("manual-action/MDN-sent-manually; displayed")
    assert (verdict.kind, verdict.about, verdict.deliveries) == (MailKind.READ_RECEIPT, (OURS,), (DELIVERY,))


@pytest.mark.parametrize("what", ["deleted", "denied", "failed", "dispatched", "processed/error", ""])
def test_what_was_deleted_unread_was_not_read(what: str) -> None:
    verdict = receipt(f"automatic-action/MDN-sent-automatically; {what}")
    assert (verdict.kind, verdict.deliveries) == (MailKind.AUTO_REPLY, (DELIVERY,))


# --- whatever comes

junk = st.text(max_size=300)


@given(text=junk, report=junk, subject=junk, address=st.sampled_from(["mailer-daemon@x.example", "a@b.example", ""]))
def test_no_content_makes_it_fail(text: str, report: str, subject: str, address: str) -> None:
    mail = Mail(
        subject=subject,
        from_=(Mailbox(address=address),) if address else (),
        text=text,
        all_text=text,
        reports=(Report(media_type="message/delivery-status", text=report),),
    )
    verdict = machines.judge(mail, Envelope(mail_from=""), US)
    assert verdict.automatic
    assert all(len(fate.detail) <= 500 for fate in verdict.fates)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "@" * 200_000,
        "<a@" * 60_000,
        "\n" * 200_000,
        "5" * 200_000,
        "- " * 100_000,
        "a@b.c " * 30_000,
        "message-id:" + " " * 100_000,
        "this message was created automatically by mail delivery\n" + ("x@" * 90 + "\n") * 999,
    ],
    ids=["letters", "ats", "opened", "lines", "digits", "rules", "addresses", "blanks", "flufl"],
)
def test_hostile_notices_are_read_in_bounded_time(text: str) -> None:
    mail = Mail(
        subject="failure notice",
        from_=(Mailbox(address="mailer-daemon@x.example"),),
        text=text,
        all_text=text[:100_000],
    )
    verdict = machines.judge(mail, Envelope(), US)
    assert verdict.kind is MailKind.BOUNCE
