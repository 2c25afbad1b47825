"""Mails as a shop gets them: complete, with the headers that servers write, in the forms of the programs people use.

Rule: pure and repeatable; the same seed gives the same bytes. The people and their shops are invented.
"""

from __future__ import annotations

import base64
import quopri
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import Header
from hashlib import sha256

from channels.message import Letter

SHOP = "support@kumbara.example"
RECEIVER = "mx.kumbara.example"  # whose judgement of senders is believed
ENCLOSED = 20 << 10  # bytes of an attachment
BEGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

HTML, FILE, REPLY = 0.3, 0.1, 0.3  # the shares of the corpus


@dataclass(frozen=True, slots=True, kw_only=True)
class _Language:
    """Who writes in it, what, how their program introduces a quote, and the charsets in use beside UTF-8."""

    name: str
    people: tuple[str, ...]
    sentences: tuple[str, ...]
    subjects: tuple[str, ...]
    wrote: str
    charsets: tuple[str, ...]
    domain: str
    rtl: bool = False


LANGUAGES = (
    _Language(
        name="tr",
        people=("Ayşe Yılmaz", "Mehmet Kaya", "Gülşen Öztürk", "Çağrı Işık"),
        sentences=(
            "Merhaba, iki hafta önce verdiğim sipariş hâlâ elime ulaşmadı.",
            "Takip numarası {n} ama üç gündür aynı şubede görünüyor.",
            "Ürünün sol tarafında bir çizik var, fotoğrafını ekledim.",
            "İade etmek istiyorum; kargo ücretini kim ödüyor?",
            "Adresimi yanlış yazmışım, Atatürk Caddesi 12 değil 21 olacaktı.",
            "Fatura adıma değil, şirketimiz adına kesilsin lütfen.",
            "Şimdiden teşekkür eder, iyi çalışmalar dilerim.",
        ),
        subjects=("Siparişim nerede? #{n}", "İade talebi {n}", "Kargo gecikmesi", "Fatura {n} hakkında"),
        wrote="{date} tarihinde {who} şunu yazdı:",
        charsets=("utf-8", "windows-1254", "iso-8859-9"),
        domain="ornek.com.tr",
    ),
    _Language(
        name="ru",
        people=("Иван Петров", "Мария Смирнова", "Олег Кузнецов"),
        sentences=(
            "Здравствуйте! Когда будет отправлен мой заказ {n}?",
            "Деньги списали ещё в понедельник, а письма с трек-номером так и нет.",
            "Посылка пришла, но внутри не тот размер.",
            "Подскажите, пожалуйста, можно ли обменять без возврата денег?",
            "Курьер звонил, но приехать так и не смог.",
            "Заранее спасибо за ответ.",
        ),
        subjects=("Заказ {n}", "Возврат товара", "Где моя посылка? {n}", "Вопрос по доставке"),
        wrote="{date} {who} пишет:",
        charsets=("utf-8", "windows-1251", "koi8-r"),
        domain="primer.example",
    ),
    _Language(
        name="en",
        people=("Emma Clark", "James O'Brien", "Priya Nair"),
        sentences=(
            "Hi, the parcel for order {n} arrived today but the left shoe has a scratch on it.",
            "Can I exchange it without sending both back first?",
            "Do you ship to Kazakhstan, and how long does it take?",
            "I was charged twice; the second payment is {n}.",
            "The discount code from your newsletter is not accepted at checkout.",
            "Please let me know what you need from me.",
        ),
        subjects=("Order {n}", "Damaged item", "Charged twice ({n})", "Question about shipping"),
        wrote="On {date}, {who} wrote:",
        charsets=("utf-8", "iso-8859-1"),
        domain="mail.example",
    ),
    _Language(
        name="de",
        people=("Jürgen Müller", "Katrin Weiß", "Björn Schäfer"),
        sentences=(
            "Guten Tag, meine Bestellung {n} ist leider noch nicht angekommen.",
            "Laut Sendungsverfolgung liegt das Paket seit Tagen im Verteilzentrum.",
            "Außerdem fehlt auf der Rechnung die Umsatzsteuer-Nummer.",
            "Könnten Sie mir bitte ein Rücksendeetikett schicken?",
            "Über eine kurze Rückmeldung würde ich mich freuen.",
        ),
        subjects=("Bestellung {n}", "Rücksendung", "Rechnung fehlt ({n})", "Lieferverzögerung"),
        wrote="Am {date} schrieb {who}:",
        charsets=("utf-8", "iso-8859-15", "windows-1252"),
        domain="beispiel.example",
    ),
    _Language(
        name="ar",
        people=("أحمد علي", "فاطمة حسن"),
        sentences=(
            "مرحبا، لم يصل طلبي رقم {n} حتى الآن.",
            "هل يمكن تغيير عنوان التوصيل؟",
            "وصل المنتج مكسورا وأريد استرجاع المبلغ.",
            "شكرا جزيلا لكم.",
        ),
        subjects=("الطلب {n}", "استرجاع", "موعد التوصيل"),
        wrote="في {date}، كتب {who}:",
        charsets=("utf-8", "windows-1256"),
        domain="mithal.example",
        rtl=True,
    ),
    _Language(
        name="fr",
        people=("Élodie Lefèvre", "Benoît Garçon"),
        sentences=(
            "Bonjour, je n’ai toujours pas reçu ma commande {n}.",
            "Le colis est arrivé abîmé et il manque un article.",
            "Pourriez-vous me dire où en est le remboursement ?",
            "Merci d’avance pour votre réponse.",
        ),
        subjects=("Commande {n}", "Colis abîmé", "Remboursement {n}"),
        wrote="Le {date}, {who} a écrit :",
        charsets=("utf-8", "windows-1252"),
        domain="exemple.example",
    ),
)
_WEIGHTS = (30, 20, 20, 12, 10, 8)  # a shop in Turkey


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A mail of the corpus: its bytes, and whom it is from."""

    sender: str
    raw: bytes
    html: bool
    reply: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """What a reply refers to."""

    message_id: str
    references: tuple[str, ...]
    subject: str
    text: str
    sender: str
    name: str
    language: _Language


def corpus(count: int, *, seed: int = 1) -> Iterator[Written]:
    """So many distinct mails, oldest first; a reply is by the writer of what it refers to."""
    chance = random.Random(seed)
    past: list[_Past] = []
    for number in range(count):
        before = chance.choice(past[-300:]) if past and chance.random() < REPLY else None
        mail, this = _mail(chance, f"{seed}-{number}", number, before)
        past.append(this)
        yield mail


def letter(raw: bytes, number: int, *, channel: str = "mail") -> Letter:
    """A mail as a mailbox brings it."""
    return Letter(
        channel=channel,
        external_id=f"imap:INBOX:1:{number}",
        digest=sha256(raw).digest(),
        at=BEGIN + timedelta(seconds=number),
        raw=raw,
        facts={"way": "imap", "folder": "INBOX"},
    )


def heavy(number: int, size: int, text: str) -> bytes:
    """A mail of about `size` bytes on the wire, with one large file."""
    data = random.Random(number).randbytes(size * 72 // 100)
    head = _head(
        who="Ayşe Yılmaz",
        sender=f"heavy{number}@ornek.com.tr",
        subject=f"Fotoğraflar {number}",
        id=f"<heavy-{number}@ornek.com.tr>",
        at=BEGIN,
        more=[],
    )
    return head + _mixed(_text_part(text, "utf-8", "base64"), data, f"foto {number}.jpg", "heavy")


def _mail(chance: random.Random, name: str, number: int, before: _Past | None) -> tuple[Written, _Past]:
    language = before.language if before else chance.choices(LANGUAGES, _WEIGHTS)[0]
    who = before.name if before else chance.choice(language.people)
    sender = before.sender if before else f"customer{chance.randrange(1_000_000)}@{language.domain}"
    at = BEGIN + timedelta(seconds=number)
    id = f"<{sha256(name.encode()).hexdigest()[:24]}@{language.domain}>"
    order = str(chance.randrange(10**9, 10**10))
    subject = f"Re: {before.subject.removeprefix('Re: ')}" if before else chance.choice(language.subjects)
    subject = subject.replace("{n}", order)
    long = 1 if chance.random() < 0.7 else chance.randrange(2, 9)  # most mails are short, some tell their whole story
    own = [
        " ".join(chance.sample(language.sentences, chance.randrange(1, min(5, len(language.sentences)))))
        for _ in range(long)
    ]
    text = "\n\n".join(own).replace("{n}", order) + f"\n\n{who}\n"
    quoted = _quoted(before, at, language) if before else ""
    html = chance.random() < HTML
    charset = chance.choice(language.charsets) if chance.random() < 0.3 else "utf-8"
    coding = chance.choice(("quoted-printable", "quoted-printable", "base64", "8bit"))
    part = _text_part(text + quoted, charset, coding)
    if html:
        page = _page(chance, text, before, at, language)
        boundary = f"alt-{name}"
        part = (
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'.encode()
            + b"--" + boundary.encode() + b"\r\n" + part
            + b"\r\n--" + boundary.encode() + b"\r\n" + _text_part(page, charset, "quoted-printable", "html")
            + b"\r\n--" + boundary.encode() + b"--\r\n"
        )  # fmt: skip
    if chance.random() < FILE:
        part = _mixed(part, chance.randbytes(ENCLOSED), f"{chance.choice(language.subjects)}.jpg", f"mix-{name}")
    more = []
    references: tuple[str, ...] = ()
    if before:
        references = (*before.references, before.message_id)[-10:]
        more = [f"In-Reply-To: {before.message_id}", "References: " + "\r\n ".join(references)]
    head = _head(who=who, sender=sender, subject=subject, id=id, at=at, more=more)
    this = _Past(
        message_id=id,
        references=references,
        subject=subject,
        text=text + quoted,
        sender=sender,
        name=who,
        language=language,
    )
    return Written(sender=sender, raw=head + part, html=html, reply=before is not None), this


def _head(*, who: str, sender: str, subject: str, id: str, at: datetime, more: list[str]) -> bytes:
    """The headers, with what three servers on the way wrote on top."""
    domain = sender.rpartition("@")[2]
    stamp = f"{at:%a, %d %b %Y %H:%M:%S} +0000"
    key = sha256(id.encode()).hexdigest()
    lines = [
        f"Return-Path: <{sender}>",
        f"Delivered-To: {SHOP}",
        f"Authentication-Results: {RECEIVER};",
        f"       dkim=pass header.i=@{domain} header.s=s2026 header.b={key[:8]};",
        f"       spf=pass ({RECEIVER}: domain of {sender} designates 192.0.2.25 as permitted sender)"
        f" smtp.mailfrom={sender};",
        f"       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from={domain}",
        f"Received: from out.{domain} (out.{domain} [192.0.2.25])",
        f"        by {RECEIVER} with ESMTPS id {key[:12]}",
        f"        for <{SHOP}>; {stamp}",
        f"Received: by out.{domain} with SMTP id {key[12:24]}; {stamp}",
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=s2026; t={int(at.timestamp())};",
        "        h=to:subject:message-id:date:from:mime-version:from:to:cc:subject:date:message-id:reply-to;",
        f"        bh={base64.b64encode(sha256(key.encode()).digest()).decode()};",
        f"        b={(key * 3)[:60]}",
        f"         {(key * 3)[60:130]}",
        f"X-Received: by 2002:a05:{key[:4]}:b0:{key[4:7]} with SMTP id {key[7:30]}; {stamp}",
        "MIME-Version: 1.0",
        *more,
        f"From: {Header(who, 'utf-8').encode()} <{sender}>",
        f"Date: {stamp}",
        f"Message-ID: {id}",
        f"Subject: {Header(subject, 'utf-8').encode()}",
        f"To: Kumbara <{SHOP}>",
    ]
    return "\r\n".join(lines).encode() + b"\r\n"


def _text_part(text: str, charset: str, coding: str, kind: str = "plain") -> bytes:
    """Headers and body of a text part."""
    data = text.replace("\n", "\r\n").encode(charset, "replace")
    if coding == "base64":
        body = base64.encodebytes(data).replace(b"\n", b"\r\n")
    elif coding == "quoted-printable":
        body = quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    else:
        body = data
    head = f'Content-Type: text/{kind}; charset="{charset}"\r\nContent-Transfer-Encoding: {coding}\r\n\r\n'
    return head.encode() + body


def _mixed(part: bytes, data: bytes, filename: str, boundary: str) -> bytes:
    line = b"--" + boundary.encode()
    head = (
        f'Content-Type: image/jpeg; name="{Header(filename, "utf-8").encode()}"\r\n'
        f'Content-Disposition: attachment; filename="{Header(filename, "utf-8").encode()}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return b"\r\n".join(
        (
            f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n'.encode(),
            line,
            part,
            line,
            head.encode() + base64.encodebytes(data).replace(b"\n", b"\r\n"),
            line + b"--",
            b"",
        )
    )


def _attribution(before: _Past, at: datetime, language: _Language) -> str:
    who = f"Kumbara <{SHOP}>"
    return language.wrote.format(date=f"{at - timedelta(hours=3):%d.%m.%Y %H:%M}", who=who)


def _quoted(before: _Past, at: datetime, language: _Language) -> str:
    lines = "\n".join(f"> {line}".rstrip() for line in before.text.splitlines())
    return f"\n{_attribution(before, at, language)}\n\n{lines}\n"


def _page(chance: random.Random, text: str, before: _Past | None, at: datetime, language: _Language) -> str:
    """The same as a program writes it in HTML; one in three with the furniture of Outlook."""
    direction = ' dir="rtl"' if language.rtl else ' dir="ltr"'
    if chance.random() < 0.34:
        rows = "".join(
            f'<p class="MsoNormal"><span style="font-size:11.0pt;font-family:&quot;Calibri&quot;,sans-serif">'
            f"{line or '&nbsp;'}<o:p></o:p></span></p>\n"
            for line in text.splitlines()
        )
        quote = ""
        if before:
            quote = (
                '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm">'
                '<p class="MsoNormal">'
                f"<b>From:</b> Kumbara &lt;{SHOP}&gt;<br><b>Sent:</b> {at:%d.%m.%Y %H:%M}<br>"
                f"<b>Subject:</b> {before.subject}</p></div>"
                + "".join(f'<p class="MsoNormal">{line}</p>\n' for line in before.text.splitlines())
            )
        return (
            '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style><!--\n'
            + "".join(
                f"p.Mso{n}, li.Mso{n} {{margin:0cm; font-size:11.0pt; mso-style-priority:{n};}}\n" for n in range(40)
            )
            + f'--></style></head><body lang="{language.name}"{direction}><div class="WordSection1">{rows}{quote}'
            "</div></body></html>"
        )
    rows = "".join(f"<div>{line or '<br>'}</div>" for line in text.splitlines())
    quote = ""
    if before:
        past = "<br>\n".join(before.text.splitlines())
        quote = (
            f'<br><div class="gmail_quote"><div{direction} class="gmail_attr">{_attribution(before, at, language)}<br>'
            '</div><blockquote class="gmail_quote"'
            ' style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204)">'
            f"{past}</blockquote></div>"
        )
    return f"<div{direction}>{rows}</div>{quote}\n"
