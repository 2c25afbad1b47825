"""People and machines told apart: nobody's words may be filed as a machine's, and no machine may get an answer."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.mail.judge import machines
from channels.mail.parse import mime
from channels.mail.tokens import message_id, tagged
from channels.mail.values import Envelope, Headers, Mail, Mailbox, MailKind, Us, Verdict
from tests.mail.bounces import DELIVERY, US

OURS = message_id(DELIVERY, "ornek.com.tr")
ANSWERS = f"In-Reply-To: {OURS}\n"
AUTO = MailKind.AUTO_REPLY


def mail(
    subject: str,
    text: str,
    head: str = "",
    sender: str = "Ayşe Yılmaz <ayse@example.com>",
    to: str = "destek@ornek.com.tr",
) -> bytes:
    addressed = f"To: {to}\n" if to else ""
    return (
        f"{head}From: {sender}\n{addressed}Subject: {subject}\nMessage-ID: <1@example.com>\n"
        f"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{text}\n"
    ).encode()


def judged(raw: bytes, envelope: Envelope | None = None, us: Us = US) -> Verdict:
    return machines.judge(mime.parse(raw), envelope or Envelope(), us, raw)


# --- automatic answers

# Language or system, subject, text, further headers.
AUTO_REPLIES = [
    ("rfc 3834", "Re: Siparişiniz", "Aldık.", "Auto-Submitted: auto-replied\n"),
    ("dovecot sieve", "Otomatik: x", "Yokum.", "Auto-Submitted: auto-replied (vacation)\nPrecedence: bulk\n"),
    ("exchange", "Automatic reply: Your order", "I am out of office.", "Auto-Submitted: auto-generated\n" + ANSWERS),
    ("m365 outside", "Automatic reply: Your order", "Back on Monday.", "X-Auto-Response-Suppress: All\n"),
    (
        "gmail vacation",
        "Re: Your order",
        "On leave.",
        "Auto-Submitted: auto-replied\nPrecedence: bulk\nX-Autoreply: yes\n",
    ),
    ("cpanel", "Out", "Not here.", "X-Autorespond: Your order\nPrecedence: auto_reply\n"),
    ("old responder", "Away", "Gone fishing.", "X-Auto-Reply-From: ayse@example.com\n"),
    ("lotus notes", "Away", "Gone fishing.", "X-Mail-Autoreply: yes\n"),
    ("first class", "Away", "Gone fishing.", "X-FC-MachineGenerated: true\n"),
    ("help desk", "[#4711] We have got your request", "A ticket.", "Auto-Submitted: auto-generated\n" + ANSWERS),
    ("null sender", "Your order", "I am away.", "Return-Path: <>\n"),
    ("autoresponder", "Your order", "I am away.", "Delivered-To: Autoresponder\n"),
    ("english", "Automatic reply: Your order", "I am on annual leave until 3 June.", ""),
    ("english away", "Out of Office: Your order", "Back soon.", ANSWERS),
    ("turkish", "Otomatik yanıt: Siparişiniz yola çıktı", "Yıllık izindeyim, 12 Mayıs'ta dönüyorum.", ""),
    ("turkish capitals", "OTOMATİK YANIT: Sipariş", "İZİNDEYİM", ""),
    ("turkish gmail", "Otomatik Cevap: Sipariş", "Ofis dışındayım.", ANSWERS),
    ("russian", "Автоответ: Ваш заказ", "Я в отпуске до 3 июня.", ""),
    ("russian outlook", "Автоматический ответ: Ваш заказ", "Я отсутствую.", ANSWERS),
    ("german", "Automatische Antwort: Ihre Bestellung", "Ich bin bis 3. Juni im Urlaub.", ""),
    ("german note", "Abwesenheitsnotiz", "Ich bin nicht im Büro.", ""),
    ("german notes", "Abwesenheitsnotiz: Ihre Bestellung", "Ab dem 3. Juni wieder da.", ANSWERS),
    ("french", "Réponse automatique : Votre commande", "Je suis absente jusqu'au 3 juin.", ""),
    ("french without accents", "Reponse automatique: Commande", "De retour le 3 juin.", ""),
    ("spanish", "Respuesta automática: Su pedido", "Estoy fuera de la oficina.", ""),
    ("italian", "Risposta automatica: Il tuo ordine", "Sono in ferie.", ""),
    ("portuguese", "Resposta automática: Encomenda", "Estou de férias.", ""),
    ("dutch", "Automatisch antwoord: Uw bestelling", "Ik ben op vakantie.", ""),
    ("polish", "Odpowiedź automatyczna: Zamówienie", "Jestem na urlopie.", ""),
    ("polish other order", "Automatyczna odpowiedź: Zamówienie", "Poza biurem.", ANSWERS),
    ("ukrainian", "Автоматична відповідь: Замовлення", "Я у відпустці.", ""),
    ("arabic", "رد تلقائي: طلبك", "أنا خارج المكتب.", ""),
    ("czech", "Automatická odpověď: Objednávka", "Mám dovolenou.", ""),
    ("swedish", "Autosvar: Din beställning", "Jag har semester.", ANSWERS),
    ("hungarian", "Automatikus válasz: Rendelés", "Szabadságon vagyok.", ""),
    ("greek", "Αυτόματη απάντηση: Παραγγελία", "Λείπω σε διακοπές.", ""),
    ("japanese", "自動応答: ご注文", "休暇中です。", ""),
    ("chinese", "自动回复: 订单", "我在休假。", ""),
    ("english in plain words", "Automatic reply: Your order", "Ask Deniz meanwhile.", ""),
    ("turkish in plain words", "Otomatik yanıt: Siparişiniz", "Bu arada Deniz'e yazın.", ""),
    ("russian in plain words", "Автоматический ответ: Ваш заказ", "Пишите пока Денису.", ""),
    ("german in plain words", "Automatische Antwort: Ihre Bestellung", "Bis Montag ist Deniz für Sie da.", ""),
    ("french in plain words", "Réponse automatique : Votre commande", "Écrivez à Deniz.", ""),
    ("japanese in plain words", "自動返信：ご注文", "月曜日に。", ""),
    ("arabic in plain words", "رد تلقائي: طلبك", "يوم الاثنين.", ""),
]


@pytest.mark.parametrize(
    ("subject", "text", "head"), [row[1:] for row in AUTO_REPLIES], ids=[row[0] for row in AUTO_REPLIES]
)
def test_an_automatic_answer_is_known(subject: str, text: str, head: str) -> None:
    verdict = judged(mail(subject, text, head))
    assert (verdict.kind, verdict.automatic) == (AUTO, True)
    assert verdict.deliveries == ((DELIVERY,) if head.endswith(ANSWERS) else ())


def test_an_automatic_answer_tells_what_it_answers_by_the_mark_too() -> None:
    raw = mail("Re: x", "Away", "Auto-Submitted: auto-replied\n", to=tagged("destek@ornek.com.tr", "r", DELIVERY))
    assert judged(raw).deliveries == (DELIVERY,)


# --- people

PEOPLE = [
    ("Out of office chair", "Is it in stock?", ""),
    ("Out of office chairs: when are they back?", "I want two.", ""),
    ("Out of Office", "I will be out of office on Friday, please deliver on Monday.", ""),
    ("On vacation", "We are on vacation next week. Please hold the parcel.", ""),
    ("Urlaub", "Ich bin im Urlaub, bitte später liefern.", ""),
    ("Urlaubskoffer", "Welche Größe hat er?", ""),
    ("İzindeyim", "Önümüzdeki hafta izindeyim, kargoyu komşuya bırakın.", ""),
    ("Undelivered order", "My order 4711 was not delivered.", ""),
    ("Undelivered order", "Where is my parcel? 550 TL was paid.", ""),
    ("Delivery failed", "The courier says delivery failed but I was at home!", ""),
    ("Delivery failed", "Tracking says: 5.1.1 delivery attempt failed", ""),
    ("Delivery failure", "Your parcel never came", ""),
    ("Delivery Status Notification", "I did not get one, where is my parcel?", ""),
    ("Returned to sender parcel", "The parcel was returned to sender. What now?", ""),
    ("Returned mail", "My parcel came back", ""),
    ("Failure notice", "I got a failure notice from my bank about the payment. Code 550.", ""),
    ("Teslim edilemedi", "Kargo teslim edilemedi yazıyor, evdeydim!", ""),
    ("Не удалось доставить", "Курьер пишет: не удалось доставить посылку. Я была дома!", ""),
    ("Unzustellbar", "DHL sagt, mein Paket sei unzustellbar.", ""),
    ("No se pudo entregar", "El paquete no se pudo entregar, ¿por qué?", ""),
    ("Re: Automatic reply: We have your message", "Thanks, but I still wait for an answer.", ANSWERS),
    ("Ynt: Otomatik yanıt: Mesajınızı aldık", "Hâlâ bekliyorum.", ANSWERS),
    ("AW: Abwesenheitsnotiz", "Danke, und wann kommt mein Paket?", ANSWERS),
    ("Re: Автоответ: Заявка принята", "Когда ответите?", ANSWERS),
    ("Automatic reply: why do I only get these?", "Is anybody there?", ""),
    ("Automatische Antwort: warum immer nur das", "Ist da jemand?", ""),
    ("Otomatik yanıt: yine mi", "Kimse yok mu？", ""),
    ("Auto: Reifen", "Bitte vier Stück.", ""),
    ("Automatic reply to my mail", "I want a person to write to me.", ""),
    ("DMARC report", "Your last mail failed DMARC here, please look into it.", ""),
    ("Automatic gate opener", "Does it work at 110 V?", ""),
    ("Auto parts order", "Left mirror please", ""),
    ("Auto: Reifen bestellt", "Wann kommen die Reifen?", ""),
    ("Fwd: Undelivered Mail Returned to Sender", "Why does my mail to you bounce? 550 5.1.1 user unknown", ""),
    ("Absence of parts", "The box had no screws.", ""),
    ("Ausente", "No estaré en casa mañana.", ""),
    ("Unsubscribe", "Please take me off the newsletter.", ""),
    ("Newsletter", "List-Unsubscribe does not work in your newsletter", ""),
    ("Siparişim", "Nerede?", "Auto-Submitted: no\n"),
    ("Order", "Where is it?", "Precedence: first-class\n"),
    ("Order", "Where is it?", "X-Autoreply: no\n"),
    ("Order", "Where is it?", "X-Auto-Response-Suppress: DR\n"),
    ("Order", "Where is it?", "Return-Path: <ayse@example.com>\n"),
    ("Order", "Where is it?", "X-Santral: 1\n"),
    ("", "", ""),
]


@pytest.mark.parametrize(("subject", "text", "head"), PEOPLE, ids=[f"{n}-{row[0]}" for n, row in enumerate(PEOPLE)])
def test_a_person_is_never_taken_for_a_machine(subject: str, text: str, head: str) -> None:
    verdict = judged(mail(subject, text, head))
    assert (verdict.kind, verdict.automatic, verdict.why) == (MailKind.MESSAGE, False, "no sign of a machine")


def test_an_answer_to_ours_stays_a_message_whatever_a_gateway_added() -> None:
    added = "List-Unsubscribe: <mailto:x@crm.example>\nPrecedence: bulk\nFeedback-ID: 1:crm\nList-Id: <crm.example>\n"
    verdict = judged(mail("Re: Siparişiniz", "Teşekkürler, ne zaman gelir?", ANSWERS + added))
    assert (verdict.kind, verdict.automatic, verdict.deliveries) == (MailKind.MESSAGE, True, (DELIVERY,))
    marked = mail("Re: Siparişiniz", "Ne zaman?", added, to=tagged("destek@ornek.com.tr", "r", DELIVERY))
    assert judged(marked).kind is MailKind.MESSAGE
    assert judged(mail("Kampanya", "Ne zaman?", added)).kind is MailKind.LIST


def test_an_answer_to_ours_names_the_delivery() -> None:
    other = UUID(int=4711)
    head = f"In-Reply-To: <x@example.com>\nReferences: {message_id(other, 'ornek.com.tr')} {OURS} <x@example.com>\n"
    assert judged(mail("Re: x", "Evet", head)).deliveries == (DELIVERY, other)


def test_our_own_group_is_no_mailing_list() -> None:
    group = (
        "Mailing-list: list destek@ornek.com.tr; contact destek+owners@ornek.com.tr\nPrecedence: list\n"
        "List-ID: <destek.ornek.com.tr>\nList-Post: <https://groups.example>, <mailto:destek@ornek.com.tr>\n"
        "List-Unsubscribe: <mailto:x@example.com>\n"
    )
    verdict = judged(mail("Siparişim nerede", "4711", group))
    assert (verdict.kind, verdict.automatic) == (MailKind.MESSAGE, False)
    bounce = judged(mail("failure notice", "<a@b.example>: 550", group, "MAILER-DAEMON@b.example"))
    assert bounce.kind is MailKind.BOUNCE
    assert judged(mail("Kampanya", "Ucuz", group.replace("ornek.com.tr", "baska.example"))).kind is MailKind.LIST


# --- contact forms


@pytest.mark.parametrize(
    "head",
    ["", "Auto-Submitted: auto-generated\n", "Precedence: bulk\nX-Auto-Response-Suppress: All\n", "Return-Path: <>\n"],
)
def test_a_contact_form_is_a_person(head: str) -> None:
    raw = mail("Contact form", "Where is 4711?", head + "Reply-To: ayse@example.com\n", "Shop <form@ornek.com.tr>")
    verdict = judged(raw)
    assert (verdict.kind, verdict.automatic) == (MailKind.MESSAGE, False)


def test_a_contact_form_filled_with_our_own_address_gets_no_answer() -> None:
    raw = mail("Contact form", "x", "Reply-To: support@ornek.com.tr\n", "form@ornek.com.tr")
    assert judged(raw).automatic


# --- lists and programs


@pytest.mark.parametrize(
    "head",
    [
        "List-Id: Haberler <haber.example.com>\n",
        "List-Unsubscribe: <https://example.com/u>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n",
        "List-Post: <mailto:l@example.com>\n",
        "Mailing-List: contact l@example.com\n",
        "Precedence: bulk\n",
        "Precedence: List\n",
        "Precedence: junk\n",
        "Auto-Submitted: auto-generated\n",
        "Auto-Submitted: auto-notified; owner-email=x@example.com\n",
    ],
)
def test_a_newsletter_or_a_program_is_a_list(head: str) -> None:
    verdict = judged(mail("Haberler", "Yeni ürünler", head))
    assert (verdict.kind, verdict.automatic) == (MailKind.LIST, True)


def report(subject: str, media_type: str, file: str, file_type: str, head: str = "") -> bytes:
    return (
        f"{head}From: noreply@reports.example\nTo: destek@ornek.com.tr\nSubject: {subject}\nMIME-Version: 1.0\n"
        f'Content-Type: {media_type}; boundary="b"\n\n--b\nContent-Type: text/plain\n\nThis is a report.\n'
        f'--b\nContent-Type: {file_type}; name="{file}"\nContent-Disposition: attachment; filename="{file}"\n\n'
        "H4sIAAAA\n--b--\n"
    ).encode()


DMARC_FILE = "mx.example!ornek.com.tr!1762214400!1762300799.xml.gz"
NAMED = "Report Domain: ornek.com.tr Submitter: mx.example Report-ID: 4711"
BY_PROGRAM = "Return-Path: <>\nAuto-Submitted: auto-generated\n"


@pytest.mark.parametrize(
    "raw",
    [
        mail(NAMED, "zip", sender="noreply-dmarc-support@mx.example"),
        report(NAMED, "multipart/mixed", DMARC_FILE, "application/gzip", BY_PROGRAM),
        report("Aggregate", "multipart/mixed", DMARC_FILE, "application/octet-stream"),
        report("[DMARC] Aggregate Report ornek.com.tr", "multipart/mixed", "a.zip", "application/zip", BY_PROGRAM),
        report(NAMED, "multipart/report; report-type=tlsrpt", "a.json.gz", "application/tlsrpt+gzip", BY_PROGRAM),
        report("TLS", 'multipart/report; report-type="tlsrpt"', "a.json.gz", "application/octet-stream"),
        report("TLS", "multipart/mixed", "a.json", "application/tlsrpt+json"),
        report("Figures", "multipart/report; report-type=figures", "a.csv", "text/csv"),
    ],
)
def test_figures_about_our_domain_are_a_report_that_nobody_complains_in(raw: bytes) -> None:
    verdict = judged(raw)
    assert (verdict.kind, verdict.automatic, verdict.fates) == (MailKind.REPORT, True, ())


def test_an_answer_to_ours_is_no_report_whatever_is_enclosed() -> None:
    raw = report("Re: DMARC report", "multipart/mixed", DMARC_FILE, "application/gzip", ANSWERS)
    assert judged(raw).kind is MailKind.MESSAGE


def test_a_carriers_notice_of_a_failed_delivery_is_no_bounce() -> None:
    raw = mail(
        "Delivery failed: your parcel", "We missed you.", "Auto-Submitted: auto-generated\n", "noreply@kargo.example"
    )
    assert judged(raw).kind is MailKind.LIST


# --- calendars


@pytest.mark.parametrize(("method", "kind"), [("REPLY", MailKind.CALENDAR), ("COUNTER", MailKind.CALENDAR)])
def test_an_answer_by_a_calendar_is_known(method: str, kind: MailKind) -> None:
    assert judged(invitation(method, "Kabul edildi")).kind is kind


def test_an_invitation_by_a_person_is_a_message() -> None:
    verdict = judged(invitation("REQUEST", "Yarın konuşalım mı?"))
    assert (verdict.kind, verdict.automatic) == (MailKind.MESSAGE, False)
    assert judged(invitation("CANCEL", "İptal")).kind is MailKind.CALENDAR


def invitation(method: str, text: str) -> bytes:
    return (
        "From: ayse@example.com\nTo: destek@ornek.com.tr\nSubject: Toplantı\nMIME-Version: 1.0\n"
        'Content-Type: multipart/alternative; boundary="b"\n\n'
        f"--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{text}\n"
        f"--b\nContent-Type: text/calendar; charset=utf-8; method={method}\n\n"
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\nSUMMARY:x\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        "--b--\n"
    ).encode()


# --- loops


def test_our_own_mail_come_back_is_a_loop() -> None:
    back = mail("Siparişiniz", "Yolda").replace(b"<1@example.com>", OURS.encode())
    assert judged(back).kind is MailKind.LOOP
    assert judged(mail("x", "y", "X-Santral: 1\n", "destek@ornek.com.tr")).kind is MailKind.LOOP
    assert judged(mail("x", "y", "X-Santral: 1\nSender: support@ornek.com.tr\n")).kind is MailKind.LOOP


def test_a_mail_that_goes_round_in_circles_is_a_loop() -> None:
    hop = "Received: from a.example by b.example; Tue, 4 Nov 2025 10:12:00 +0300\n"
    assert judged(mail("x", "y", hop * 26)).kind is MailKind.LOOP
    assert judged(mail("x", "y", hop * 25)).kind is MailKind.MESSAGE


# --- a person's mail that no program may answer


@pytest.mark.parametrize(
    "sender",
    [
        "noreply@bank.example",
        "no-reply@bank.example",
        "do_not_reply@bank.example",
        "orders-noreply@bank.example",
        "donotreply@bank.example",
        "postmaster@bank.example",
        "bounces+17@bank.example",
        "owner-list@bank.example",
        "list-request@bank.example",
        "majordomo@bank.example",
        "destek@ornek.com.tr",
        "support+x@ornek.com.tr",
    ],
)
def test_some_senders_are_never_answered_by_a_program(sender: str) -> None:
    verdict = judged(mail("Merhaba", "Nasılsınız?", sender=sender))
    assert (verdict.kind, verdict.automatic) == (MailKind.MESSAGE, True)


@pytest.mark.parametrize(
    "sender",
    [
        "noreplysson@example.com",
        "nora.repley@example.com",
        "bouncer@example.com",
        "ownersclub@example.com",
        "ali@ornek.com.tr",
        "requester@example.com",
        "postman@example.com",
    ],
)
def test_other_senders_are(sender: str) -> None:
    assert not judged(mail("Merhaba", "Nasılsınız?", sender=sender)).automatic


@pytest.mark.parametrize(
    "head",
    ["X-Auto-Response-Suppress: OOF, AutoReply\n", "Feedback-ID: 1:2:3\n", "X-Loop: destek@ornek.com.tr\n"],
)
def test_some_headers_forbid_an_automatic_answer(head: str) -> None:
    verdict = judged(mail("Merhaba", "Nasılsınız?", head))
    assert (verdict.kind, verdict.automatic) == (MailKind.MESSAGE, True)


def test_spam_and_blind_copies_get_no_automatic_answer() -> None:
    raw = mail("Merhaba", "Nasılsınız?")
    assert judged(raw, Envelope(spam=True)).automatic
    assert judged(mail("Merhaba", "x", to="undisclosed-recipients:;")).automatic
    assert judged(mail("Merhaba", "x", to="baska@example.com")).automatic
    assert not judged(mail("Merhaba", "x", to="Destek <DESTEK@Ornek.com.tr>")).automatic
    assert not judged(mail("Merhaba", "x", to="destek+kampanya@ornek.com.tr")).automatic


def test_a_persons_mail_to_the_address_of_our_bounces_is_kept_as_a_message() -> None:
    there = Envelope(mail_from="ayse@example.com", recipients=(tagged("destek@ornek.com.tr", "b", DELIVERY),))
    verdict = judged(mail("Re: Siparişiniz", "Teşekkürler"), there)
    assert (verdict.kind, verdict.automatic, verdict.deliveries) == (MailKind.MESSAGE, True, (DELIVERY,))


# --- whatever comes


@given(
    subject=st.text(max_size=80),
    text=st.text(max_size=200),
    fields=st.lists(
        st.tuples(
            st.sampled_from(["auto-submitted", "precedence", "list-id", "x-loop", "x-santral", "return-path", "from"]),
            st.text(max_size=60),
        ),
        max_size=6,
    ),
    calendar=st.text(max_size=60),
)
def test_no_content_makes_it_fail(subject: str, text: str, fields: list[tuple[str, str]], calendar: str) -> None:
    taken = Mail(
        headers=Headers(fields=tuple(fields)),
        subject=subject,
        text=text,
        calendar=calendar,
        from_=(Mailbox(address="ayse@example.com"),),
    )
    verdict = machines.judge(taken, Envelope(), US)
    assert verdict.automatic or verdict.kind is MailKind.MESSAGE


@given(text=st.text(max_size=400), subject=st.text(max_size=60))
def test_words_alone_never_make_a_person_a_machine(text: str, subject: str) -> None:
    taken = Mail(subject="Sipariş " + subject, text=text, from_=(Mailbox(address="ayse@example.com"),))
    assert machines.judge(taken, Envelope(), US).kind is MailKind.MESSAGE
