"""How far a sender is believed: what our receiver wrote, what a signature proves, and every trick to look proven."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache

import dkim  # type: ignore[import-untyped]
import dns.message
import dns.rcode
import dns.rrset
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from channels.mail import read
from channels.mail.judge import proof, results
from channels.mail.judge.dns import Keys
from channels.mail.judge.lookalikes import looks_alike
from channels.mail.parse import mime
from channels.mail.tokens import message_id, tagged
from channels.mail.values import Envelope, Headers, Mail, Mailbox, Trust, Us
from channels.message import REFUSED, Automated, Event, Proof, Received
from tests.mail.bounces import DELIVERY, US

AT = datetime(2025, 11, 4, 9, tzinfo=UTC)
GOOD, NONE = Proof.AUTHENTICATED, Proof.CLAIMED
GMAIL = (
    "Delivered-To: destek@ornek.com.tr\n"
    "Received: by 2002:a05:6402:1a3c:b0:123 with SMTP id be28csp1; Tue, 4 Nov 2025 00:12:00 -0800 (PST)\n"
    "X-Received: by 2002:a17:907:7e8d:b0:a with SMTP id qb13; Tue, 4 Nov 2025 00:12:00 -0800 (PST)\n"
    "Return-Path: <ayse@example.com>\n"
    "Received: from mail.example.com (mail.example.com. [192.0.2.1])\n"
    "        by mx.google.com with ESMTPS id x1 for <destek@ornek.com.tr>; Tue, 4 Nov 2025 00:12:00 -0800 (PST)\n"
)
CHECKED = "Received-SPF: pass (google.com: domain of ayse@example.com designates 192.0.2.1) client-ip=192.0.2.1;\n"
M365 = (
    "Received: from DB9.eurprd01.prod.outlook.com (2603::1) by AM0.eurprd01.prod.outlook.com with HTTPS; Tue, 4 Nov\n"
    "Received: from DB5EUR.mail.protection.outlook.com (2603::2) by DB9.outlook.office365.com with Microsoft SMTP; x\n"
)
PASS = (
    "dkim=pass header.i=@example.com header.s=s1; spf=pass smtp.mailfrom=ayse@example.com;"
    " dmarc=pass (p=NONE) header.from=example.com"
)


def written(head: str, sender: str = "From: Ayşe <ayse@example.com>\n", more: str = "") -> bytes:
    rest = "To: destek@ornek.com.tr\nSubject: Sipariş\nMessage-ID: <1@example.com>\nMIME-Version: 1.0\n"
    return f"{head}{sender}{more}{rest}Content-Type: text/plain; charset=utf-8\n\nMerhaba\n".encode()


def google(said: str) -> str:
    return f"{GMAIL}{CHECKED}Authentication-Results: mx.google.com;\n       {said}\n"


def judged(raw: bytes, us: Us = US, envelope: Envelope | None = None, keys: proof.KeyLookup | None = None) -> Trust:
    return proof.judge(mime.parse(raw), raw, envelope or Envelope(), us, keys)


def trusting(*authserv: str) -> Us:
    return Us(addresses=US.addresses, domains=US.domains, trusted_authserv=frozenset(authserv))


# --- what our receiver wrote


def test_dmarc_that_passed_for_the_senders_domain_proves_it() -> None:
    trust = judged(written(google(PASS)))
    assert (trust.proof, trust.refused, trust.warnings) == (GOOD, False, ())
    assert trust.why == "DMARC passed for example.com, says mx.google.com"


@pytest.mark.parametrize(
    "said",
    [
        "dmarc=pass header.from=example.com",
        "dmarc = pass header.from = EXAMPLE.COM",
        "dmarc/1=pass (p=reject (strict) dis=none) header.from=example.com",
        "dmarc=pass reason=\"x; dmarc=fail\" header.from=example.com",
        "dkim=pass header.d=example.com",
        "dkim=pass header.d=mail.example.com",
        "dkim=pass header.i=@example.com",
        'spf=fail reason="a ( b"; dmarc=pass header.from=example.com',
        "dkim=fail header.d=example.com; dkim=pass header.d=example.com",
        "dkim=pass header.d=esp.example.net; spf=pass smtp.mailfrom=bounce+a=b.com@mail.example.com",
        "spf=pass smtp.mailfrom=ayse@example.com",
        "spf=pass smtp.mailfrom=example.com",
        "dmarc=none header.from=example.com; dkim=pass header.d=example.com",
        "dmarc=bestguesspass action=none header.from=example.com; spf=pass smtp.mailfrom=example.com",
    ],
)  # fmt: skip
def test_an_aligned_result_proves_the_sender(said: str) -> None:
    assert judged(written(google(said))).proof is GOOD


@pytest.mark.parametrize(
    "said",
    [
        "none",
        "",
        ";;;;",
        "spf=pass smtp.mailfrom=ayse@other.example",
        "spf=pass smtp.helo=example.com",
        "spf=softfail smtp.mailfrom=ayse@example.com",
        "dkim=pass header.d=sendgrid.example",
        "dkim=neutral header.d=example.com",
        "dkim=pass header.d=com",
        "dkim=pass",
        "dmarc=pass",
        "dmarc=pass header.from=other.example",
        "dmarc=pass header.from=mail.example.com",
        "dmarc=pass header.from=example.com.evil.example",
        "dmarc=temperror header.from=example.com",
        "dmarc=fail header.from=example.com; dkim=pass header.d=example.com",
        "dmarc=pass header.from=example.com; dmarc=fail header.from=example.com",
        "spf=fail (dmarc=pass header.from=example.com) smtp.mailfrom=evil.example",
        "spf=fail (a (nested) comment; dmarc=pass header.from=example.com; ) smtp.mailfrom=evil.example",
        'spf=fail (domain of "x) ; dmarc=pass header.from=example.com; ("@evil.example) smtp.mailfrom=evil.example',
        'spf=fail reason="; dmarc=pass header.from=example.com" smtp.mailfrom=evil.example',
        "spf=fail (never closed; dmarc=pass header.from=example.com",
        "x-dmarc=pass header.from=example.com",
        "spf=none smtp.mailfrom=dmarc=pass header.from=example.com",
        "xdkim=pass header.d=example.com",
    ],
)
def test_nothing_less_proves_anything(said: str) -> None:
    assert judged(written(google(said))).proof is NONE


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("dmarc=fail (p=REJECT sp=REJECT dis=NONE) header.from=example.com", True),
        ("dmarc=fail (p=quarantine dis=none) header.from=example.com", True),
        ("dmarc=fail action=oreject header.from=example.com", True),
        ("dmarc=fail policy.dmarc=reject header.from=example.com", True),
        ("dmarc=fail (p=none dis=none) header.from=example.com", False),
        ("dmarc=fail (p=none sp=reject dis=none) header.from=example.com", False),
        ("dmarc=fail action=none header.from=example.com", False),
        ("dmarc=pass (p=REJECT) header.from=example.com", False),
        ("spf=fail (p=REJECT) smtp.mailfrom=example.com", False),
    ],
)
def test_mail_that_its_domain_wants_refused_is_refused(said: str, refused: bool) -> None:
    assert judged(written(google(said))).refused is refused


def test_the_policy_for_subdomains_counts_below_the_domain() -> None:
    said = "dmarc=fail (p=none sp=reject dis=none) header.from=mail.example.com"
    assert judged(written(google(said), "From: a@mail.example.com\n")).refused


# --- whose results


FORGED = "Authentication-Results: mx.google.com; dmarc=pass header.from=example.com; dkim=pass header.d=example.com\n"
HOP = "Received: from evil.example by mx.evil.example with ESMTP; Tue, 4 Nov 2025 00:11:00 -0800\n"


@pytest.mark.parametrize(
    "head",
    [
        google("dmarc=fail (p=none) header.from=example.com") + HOP + FORGED,
        google("dmarc=fail (p=none) header.from=example.com") + FORGED,
        google("spf=none smtp.mailfrom=evil.example; dkim=none") + FORGED,
        google("spf=none smtp.mailfrom=evil.example") + HOP + FORGED,
        GMAIL + HOP + FORGED,
        GMAIL + FORGED,
        GMAIL + HOP + CHECKED + FORGED,
        GMAIL + CHECKED + "Authentication-Results: mx.other.example; spf=none\n" + FORGED,
        GMAIL + CHECKED + "DKIM-Signature: v=1; d=evil.example; s=a; h=from; bh=x; b=y\n" + FORGED,
        GMAIL + CHECKED + "Subject: x\n" + FORGED,
        google("dkim=none; spf=none smtp.mailfrom=evil.example") + FORGED,
        "Received: from x by mx.google.com ([192.0.2.66]) by ours.example with ESMTP id 1; now\n" + CHECKED + FORGED,
        "Received: from x by mx.google.com with LMTP ([192.0.2.66]) by ours.example with ESMTP; now\n" + FORGED,
        "Received: from x by ours.example (envelope-from <) by mx.google.com (@evil>) id 1; now\n" + CHECKED + FORGED,
        "Received: from x (by mx.google.com (y) by ours.example with ESMTP; now\n" + CHECKED + FORGED,
        GMAIL.replace("Return-Path", "ARC-" + FORGED.replace("Results: ", "Results: i=1; ") + "Return-Path").replace(
            "by mx.google.com", "by ours.example"
        )
        + FORGED,
        GMAIL + "ARC-" + FORGED.replace("Results: ", "Results: i=1; ") + HOP,
        HOP + FORGED,
        HOP + GMAIL + FORGED,
        "Received: from x by mx.google.com.evil.example; now\n" + FORGED,
        "Received: from mx.google.com; now\n" + FORGED,
        "Received: from evil (by mx.google.com) by mx.evil.example; now\n" + FORGED,
        FORGED.replace("mx.google.com", "mx.google.com.evil.example"),
        FORGED.replace("mx.google.com", "evil.example"),
        FORGED.replace("mx.google.com; ", ""),
        "X-" + FORGED,
        FORGED.replace("Authentication-Results", "Authentication-Results-Original"),
        FORGED.replace("Authentication-Results:", "ARC-Authentication-Results: i=1;"),
    ],
)
def test_results_that_the_sender_may_have_written_are_not_read(head: str) -> None:
    assert judged(written(head)).proof is NONE


def test_without_a_trusted_receiver_no_results_are_read() -> None:
    assert judged(written(google(PASS)), trusting()).proof is NONE
    assert judged(written(google(PASS)), trusting("")).proof is NONE
    assert judged(written(google(PASS)), trusting("mx.yandex.example")).proof is NONE


THREE = (
    "Authentication-Results: mail.ornek.com.tr; dmarc=none header.from=example.com\n"
    "Authentication-Results: mail.ornek.com.tr; spf=softfail smtp.mailfrom=example.com\n"
    "Authentication-Results: mail.ornek.com.tr;\n\tdkim=pass (2048-bit key) header.d=example.com header.b=x\n"
)
POSTFIX = (
    "Received: from mail.example.com (mail.example.com [192.0.2.1])\n\tby mail.ornek.com.tr (Postfix) with ESMTPS; x\n"
)
DOVECOT = "Received: from mail.ornek.com.tr\n\tby mail.ornek.com.tr with LMTP id 1\n\tfor <destek@ornek.com.tr>; x\n"


@pytest.mark.parametrize("above", ["", DOVECOT, "Received: (qmail 42 invoked by uid 89); 4 Nov 2025 08:12:00 -0000\n"])
def test_results_above_the_field_that_took_the_mail_in_are_read_whole(above: str) -> None:
    assert judged(written(above + THREE + POSTFIX), trusting("mail.ornek.com.tr")).proof is GOOD
    unsigned = THREE.replace("dkim=pass", "dkim=none")
    mine = "Authentication-Results: mail.ornek.com.tr; " + PASS + "\n"
    for tail in (POSTFIX + mine, POSTFIX + HOP + mine, POSTFIX + POSTFIX + mine):
        assert judged(written(above + unsigned + tail), trusting("mail.ornek.com.tr")).proof is NONE
    # Without that field it cannot be told where the receiver's own end.
    for rest in ("", HOP):
        assert judged(written(above + unsigned + mine + rest), trusting("mail.ornek.com.tr")).proof is NONE


def test_results_below_the_field_that_took_the_mail_in_are_read_to_the_first_that_tells() -> None:
    us = trusting("mail.ornek.com.tr")
    assert judged(written(DOVECOT + POSTFIX + THREE), us).proof is NONE, "a sender could have added the last one"
    passed = THREE.replace("dmarc=none", "dmarc=pass (p=none dis=none)")
    assert judged(written(DOVECOT + POSTFIX + passed), us).proof is GOOD
    failed = THREE.replace("dmarc=none", "dmarc=fail (p=none dis=none)")
    assert judged(written(DOVECOT + POSTFIX + failed), us).proof is NONE
    head = (DOVECOT + POSTFIX + THREE).replace("\n", "\r\n").encode()
    assert judged(head + signed(), us, keys=dns_of("example.com")).proof is GOOD, "and the signature is verified here"


# Trace fields as each receiver writes them for a mail of ayse@example.com whose sender is proven.
SHAPES = {
    "gmail": (
        "mx.google.com",
        GMAIL.replace(
            "Return-Path",
            "ARC-Seal: i=1; a=rsa-sha256; t=1; cv=none; d=google.com; s=arc; b=x\n"
            "ARC-Message-Signature: i=1; a=rsa-sha256; d=google.com; s=arc; h=from; bh=x; b=x\n"
            f"ARC-Authentication-Results: i=1; mx.google.com;\n       {PASS}\nReturn-Path",
        )
        + CHECKED
        + f"Authentication-Results: mx.google.com;\n       {PASS}\n",
    ),
    "gmail without ARC": ("mx.google.com", google(PASS)),
    "m365": (
        "",
        M365 + "Received: from DB5EURFT.eop.prod.protection.outlook.com (2603::3) by DB9.outlook.office365.com\n"
        " (2603::4) with Microsoft SMTP Server (version=TLS1_2) id 15.20 via Frontend Transport; x\n"
        "Authentication-Results: spf=pass (sender IP is 192.0.2.1)\n"
        " smtp.mailfrom=example.com; dkim=pass (signature was\n"
        " verified) header.d=example.com;dmarc=pass action=none header.from=example.com;compauth=pass reason=100\n"
        "Received-SPF: Pass (protection.outlook.com: domain of example.com designates 192.0.2.1 as permitted sender)\n"
        "Received: from mail.example.com (192.0.2.1) by DB5EURFT.mail.protection.outlook.com (10.0.0.1)\n"
        " with Microsoft SMTP Server id 15.20 via Frontend Transport; x\n",
    ),
    "yandex": (
        "*.yandex.net",
        "Received: from mxfront1.sas.yp-c.yandex.net (mxfront1.sas.yp-c.yandex.net [IPv6:2a02:6b8::1])\n"
        "\tby mxback2.sas.yp-c.yandex.net with LMTP id a; x\n"
        "Received: from mail.example.com (mail.example.com [192.0.2.1])\n\tby mxfront1.sas.yp-c.yandex.net"
        " (mxfront/Yandex) with ESMTPS id b; x\nReturn-Path: ayse@example.com\nX-Yandex-Front: mxfront1\n"
        "X-Yandex-TimeMark: 1762243920\nAuthentication-Results: mxfront1.sas.yp-c.yandex.net; spf=pass (domain of"
        " example.com designates 192.0.2.1 as permitted sender) smtp.mail=ayse@example.com; dkim=pass"
        " header.i=@example.com\nX-Yandex-Spam: 1\n",
    ),
    "mail.ru": (
        "mxs.mail.ru",
        "Received: from mail by mx5.m.smailru.net with local (envelope-from <ayse@example.com>)\n\tid 1; x\n"
        "Return-path: <ayse@example.com>\nAuthentication-Results: mxs.mail.ru; spf=pass (mx5.m.smailru.net: domain of"
        " example.com designates 192.0.2.1 as permitted sender) smtp.mailfrom=ayse@example.com"
        " smtp.helo=mail.example.com;\n"
        "\t dkim=pass header.d=example.com; dmarc=pass header.from=ayse@example.com\n"
        "Received-SPF: pass (mx5.m.smailru.net:"
        " domain of example.com) client-ip=192.0.2.1;\nReceived: from [192.0.2.1] (port=54884 helo=mail.example.com)\n"
        "\tby mx5.m.smailru.net with esmtp (envelope-from <ayse@example.com>)\n\tid 2; x\n",
    ),
    "fastmail": (
        "*.messagingengine.com",
        "Received: from compute1.internal (compute1.nyi.internal [10.202.2.42])\n\tby sloti1 with LMTPA; x\n"
        "X-Spam-score: 0.0\nReceived: from mx3 ([10.202.2.202])\n  by compute1.internal (MEProxy); x\n"
        "Received: from mx3.messagingengine.com (localhost [127.0.0.1])\n"
        "\tby mailmx.nyi.internal (Postfix) with ESMTP; x\n"
        "Received: from mx3 (localhost [127.0.0.1])\n"
        "    by mx3.messagingengine.com (Authentication Milter) with ESMTP\n"
        "    id A; x\nAuthentication-Results: mx3.messagingengine.com;\n    arc=none (no signatures found);\n"
        "    dkim=pass (2048-bit rsa key) header.d=example.com;\n    dmarc=pass policy.published-domain-policy=none"
        " header.from=example.com;\n    spf=pass smtp.mailfrom=ayse@example.com\n"
        "X-ME-Authentication-Results: mx3; x=y\n"
        "Authentication-Results: mx3.messagingengine.com;\n    x-csa=none;\n    x-ptr=pass\n"
        "Received: from mail.example.com (mail.example.com [192.0.2.1])\n\tby mx3.messagingengine.com (Postfix); x\n",
    ),
    "icloud": (
        "*.icloud.com",
        "Received: from p00-smtpin-1 by p131-mailgateway-smtp-6 (mailgateway 2420B) with ESMTP id 1; x\n"
        "X-Apple-MoveToFolder: INBOX\nX-Apple-UUID: 4711\n"
        "Received: from mail.example.com (mail.example.com [192.0.2.1])\n"
        "\tby st43p00im-1.me.com (Postfix) with ESMTPS id 2; x\nX-ICL-SCORE: 3.3\n"
        "Authentication-Results: bimi.icloud.com; bimi=none\nX-ARC-Info: policy=fail; arc=none\n"
        "Authentication-Results: arc.icloud.com; arc=none\n"
        "Authentication-Results: dmarc.icloud.com; dmarc=pass header.from=example.com\nX-DMARC-Info: pass=pass\n"
        "Authentication-Results: dkim-verifier.icloud.com;\n\tdkim=pass (2048-bit key) header.d=example.com\n"
        "Authentication-Results: spf.icloud.com; spf=pass smtp.mailfrom=ayse@example.com\n",
    ),
    "postfix with opendmarc": (
        "mail.ornek.com.tr",
        DOVECOT
        + POSTFIX
        + "DMARC-Filter: OpenDMARC Filter v1.4.2 mail.ornek.com.tr E497C2173E\n"
        + "Authentication-Results: mail.ornek.com.tr; dmarc=pass (p=none dis=none) header.from=example.com\n"
        + "Authentication-Results: mail.ornek.com.tr; spf=pass smtp.mailfrom=ayse@example.com\n",
    ),
    "postfix with rspamd": (
        "mail.ornek.com.tr",
        DOVECOT
        + "X-Original-To: destek@ornek.com.tr\n"
        + POSTFIX
        + f"Authentication-Results: mail.ornek.com.tr;\n\t{PASS}\nX-Spamd-Bar: /\n",
    ),
    "amavis behind postfix": (
        "mail.ornek.com.tr",
        DOVECOT
        + "Received: from localhost (localhost [127.0.0.1])\n\tby mail.ornek.com.tr (Postfix) with ESMTP id 1; x\n"
        "Received: from mail.ornek.com.tr ([127.0.0.1])\n\tby localhost (mail.ornek.com.tr [127.0.0.1]) (amavis, port\n"
        " 10024) with ESMTP id 2; x\nAuthentication-Results: mail.ornek.com.tr (amavis);\n\tdkim=pass (2048-bit key)"
        " header.d=example.com\n" + POSTFIX,
    ),
    "amazon ses": (
        "amazonses.com",
        "Return-Path: <ayse@example.com>\nReceived: from mail.example.com (mail.example.com [192.0.2.1])\n"
        " by inbound-smtp.eu-west-1.amazonaws.com with SMTP id x for destek@ornek.com.tr; x\nX-SES-Spam-Verdict: PASS\n"
        "Received-SPF: pass (spfCheck: domain of example.com designates 192.0.2.1) client-ip=192.0.2.1;\n"
        "Authentication-Results: amazonses.com;\n spf=pass (spfCheck) client-ip=192.0.2.1;\n dkim=pass"
        " header.i=@example.com;\n dmarc=pass header.from=example.com;\n",
    ),
}


@pytest.mark.parametrize("shape", list(SHAPES))
def test_each_receivers_own_results_are_found_where_it_writes_them(shape: str) -> None:
    authserv, head = SHAPES[shape]
    trust = judged(written(head), trusting(authserv))
    assert trust.proof is GOOD, trust.why
    named = authserv.replace("*", "mx1")
    forged = f"Authentication-Results: {named}; dmarc=pass header.from=example.com; dkim=pass header.d=example.com\n"
    turned = head.replace("=pass", "=fail")
    for below in (forged, HOP + forged, head + forged):
        assert judged(written(turned + below), trusting(authserv)).proof is NONE
    assert judged(written(head), trusting("mx.elsewhere.example")).proof is NONE


def test_what_google_wrote_above_its_own_field_settles_it() -> None:
    _, head = SHAPES["gmail"]
    honest = head[: head.index("Received-SPF")]
    for said in ("spf=none smtp.mailfrom=evil.example", "dmarc=fail (p=reject) header.from=example.com"):
        trust = judged(written(honest.replace(PASS, said) + CHECKED + FORGED))
        assert (trust.proof, trust.refused) == (NONE, "reject" in said)
    assert judged(written(honest)).proof is GOOD
    assert judged(written(honest.replace("i=1; mx.google.com", "i=1; mx.evil.example"))).proof is NONE


def test_spf_that_was_only_guessed_proves_nothing() -> None:
    guessed = "spf=pass (google.com: best guess record for domain of a@example.com designates 192.0.2.1)"
    assert judged(written(google(f"{guessed} smtp.mailfrom=a@example.com"))).proof is NONE
    assert judged(written(google("spf=pass (Best Guess) smtp.mailfrom=a@example.com"))).proof is NONE


def test_inner_hops_of_the_receivers_house_do_not_matter() -> None:
    inner = (
        "Received: from mx by imap07.lan with LMTP id 1; x\n"
        "Received: from localhost (localhost [127.0.0.1]) by localhost (amavis); x\n"
        "Received: from mail.example.com by mx2.posteo.example with ESMTPS; x\n"
    )
    head = inner + "Authentication-Results: mx1.posteo.example 1; dmarc=pass header.from=example.com\n"
    assert judged(written(head), trusting("mx1.posteo.example")).proof is GOOD


def test_one_entry_may_stand_for_all_hosts_of_a_provider() -> None:
    head = (
        "Received: from mxback1.yandex.net by imap.yandex.net with LMTP; x\n"
        "Authentication-Results: mxfront2.yandex.net; dkim=pass header.i=@example.com\n"
    )
    assert judged(written(head), trusting("*.yandex.net")).proof is GOOD
    assert (
        judged(written(head.replace("mxfront2.yandex", "mxfront2.notyandex")), trusting("*.yandex.net")).proof is NONE
    )


def test_microsoft_writes_no_name_and_is_believed_where_the_mailbox_is_there() -> None:
    said = (
        "Authentication-Results: spf=pass (sender IP is 192.0.2.1)\n smtp.mailfrom=example.com; outlook.com;"
        " dkim=pass (signature was verified) header.d=example.com;outlook.com; dmarc=pass action=none"
        "\n header.from=example.com;compauth=pass reason=100\n"
    )
    trust = judged(written(M365 + said), trusting(""))
    assert (trust.proof, trust.why) == (GOOD, "DMARC passed for example.com, says Microsoft 365")
    assert judged(written(M365 + said), trusting("mx.google.com")).proof is NONE
    assert judged(written(M365 + HOP + said), trusting("")).proof is NONE
    assert judged(written(HOP + said), trusting("")).proof is NONE
    refused = said.replace("dmarc=pass action=none", "dmarc=fail action=oreject").replace("spf=pass", "spf=fail")
    refused = refused.replace("dkim=pass", "dkim=none")
    assert judged(written(M365 + refused + said), trusting("")).proof is NONE
    assert judged(written(M365 + refused), trusting("")).refused


def test_a_long_chain_of_results_is_read_from_the_top_only() -> None:
    tail = "".join(HOP + FORGED for _ in range(500))
    assert judged(written(google("spf=none") + tail)).proof is NONE
    assert judged(written(google(PASS) + tail)).proof is GOOD


# --- verdicts of a service


def test_verdicts_of_the_service_count_like_our_receivers() -> None:
    raw = written("")
    assert judged(raw, envelope=Envelope(verdicts={"dmarc": "pass"})).proof is GOOD
    assert judged(raw, envelope=Envelope(verdicts={"dmarc": "PASS", "spf": "FAIL"})).proof is GOOD
    assert judged(raw, envelope=Envelope(verdicts={"spf": "pass"}, mail_from="x@example.com")).proof is GOOD
    assert judged(raw, envelope=Envelope(verdicts={"spf": "pass"}, mail_from="x@evil.example")).proof is NONE
    assert judged(raw, envelope=Envelope(verdicts={"spf": "pass"})).proof is NONE
    assert judged(raw, envelope=Envelope(verdicts={"dkim": "pass"})).proof is NONE
    assert (
        judged(raw, envelope=Envelope(verdicts={"dkim": "pass", "dkim_domains": "a.example example.com"})).proof is GOOD
    )
    assert judged(raw, envelope=Envelope(verdicts={"dkim": "pass", "dkim_domains": "evil.example"})).proof is NONE
    signed = written("DKIM-Signature: v=1; d=example.com; s=a; h=from; bh=x; b=y\n")
    assert judged(signed, envelope=Envelope(verdicts={"dkim": "pass"})).proof is GOOD
    fails = {"dmarc": "fail", "dmarc_policy": "reject"}
    assert judged(raw, envelope=Envelope(verdicts=fails)).refused
    assert not judged(raw, envelope=Envelope(verdicts={"dmarc": "fail", "dmarc_policy": "none"})).refused
    assert not judged(raw, envelope=Envelope(verdicts={"dmarc": "gray"})).refused


# --- the sender


@pytest.mark.parametrize(
    ("sender", "warning"),
    [
        ("From: ayse@example.com\nFrom: evil@x.example\n", "two_froms"),
        ("From: evil@x.example\nFrom: ayse@example.com\n", "two_froms"),
        ("From: ayse@example.com, evil@x.example\n", "two_froms"),
        ("From: ayse@example.com <evil@x.example>\n", "two_froms"),
        ("", "no_sender"),
        ("From: \n", "no_sender"),
        ("From: Ayse\n", "no_sender"),
        ('From: "Ayse <ayse@example.com>\n', "broken_sender"),
        ("X-Long: " + "x" * (300 << 10) + "\n", "no_sender"),
    ],
)
def test_a_sender_that_cannot_be_told_is_never_believed(sender: str, warning: str) -> None:
    trust = judged(written(google("dmarc=pass header.from=x.example; dkim=pass header.d=x.example"), sender))
    assert trust.proof is NONE
    kinds = {"two_froms", "no_sender", "broken_sender"}
    assert kinds.intersection(trust.warnings) == {warning}
    assert judged(written(google(PASS), sender)).proof is NONE


def test_a_sender_above_headers_that_were_cut_short_is_not_sure() -> None:
    trust = judged(written(google(PASS), more="X-Long: " + "x" * (300 << 10) + "\n"))
    assert (trust.proof, trust.warnings) == (NONE, ("broken_sender",))


def test_a_quoted_name_with_another_address_is_believed_for_its_own_and_marked() -> None:
    raw = written(google("dmarc=pass header.from=x.example"), 'From: "ayse@example.com" <evil@x.example>\n')
    trust = judged(raw)
    assert (trust.proof, trust.warnings) == (GOOD, ("name_hides_address",))
    same = written(google(PASS), 'From: "Ayse@Example.com" <ayse@example.com>\n')
    assert judged(same).warnings == ()


def test_a_domain_may_be_written_in_unicode_or_in_punycode() -> None:
    turkish = "From: a@örnek.example\n"
    assert judged(written(google("dmarc=pass header.from=xn--rnek-4qa.example"), turkish)).proof is GOOD
    assert (
        judged(written(google("dmarc=pass header.from=örnek.example"), "From: a@xn--rnek-4qa.example\n")).proof is GOOD
    )
    assert judged(written(google("dmarc=pass header.from=ornek.example"), turkish)).proof is NONE


@pytest.mark.parametrize("domain", ["victim.com.tr", "victim.co.uk", "victim.github.io"])
def test_neighbours_under_a_public_suffix_are_not_aligned(domain: str) -> None:
    other = domain.replace("victim", "evil")
    assert judged(written(google(f"dkim=pass header.d={other}"), f"From: a@{domain}\n")).proof is NONE
    assert judged(written(google(f"dkim=pass header.d=mail.{domain}"), f"From: a@{domain}\n")).proof is GOOD


def test_subdomain_tricks_do_not_align() -> None:
    said = "dkim=pass header.d=evil.com; spf=pass smtp.mailfrom=x@victim.com.evil.com"
    assert judged(written(google(said), "From: a@victim.com\n")).proof is NONE
    assert judged(written(google(said), "From: a@victim.com.evil.com\n")).proof is GOOD
    assert judged(written(google("dkim=pass header.d=notexample.com"))).proof is NONE


def test_reply_to_elsewhere_is_marked() -> None:
    assert "reply_to_differs" in judged(written(google(PASS), more="Reply-To: a@evil.example\n")).warnings
    assert judged(written(google(PASS), more="Reply-To: a@mail.example.com\n")).warnings == ()


@pytest.mark.parametrize(
    "field",
    ["From: =?utf-8?b?4oCuYWRh?= <a@example.com>\n", "From: \u202eadA <a@example.com>\n"],
    ids=["encoded", "plain"],
)
def test_letters_that_turn_the_line_around_are_marked(field: str) -> None:
    assert "bidi" in judged(written("", field)).warnings
    assert "bidi" not in judged(written("", "From: عائشة <a@example.com>\n")).warnings


# --- look-alikes


@pytest.mark.parametrize(
    "domain",
    [
        "оrnek.com.tr",
        "xn--rnek-4qa.com.tr",
        "0rnek.com.tr",
        "ornek.com.tr.evil.example",
        "ornèk.com.tr",
        "ornek.com.tr.tr",
        "xn--80ak6aa92e.com",
        "xn--pple-43d.com",
        "xn--99999999999.com",
        "раураl.example",
        "omek.com.tr",
        "0rnek.COM.tr",
    ],
)
def test_a_domain_made_to_be_taken_for_another_is_marked(domain: str) -> None:
    assert looks_alike(domain, {"ornek.com.tr"})


@pytest.mark.parametrize(
    "domain",
    [
        "ornek.com.tr",
        "mail.ornek.com.tr",
        "müller.de",
        "xn--mller-kva.de",
        "şirket.com.tr",
        "почта.рф",
        "例え.jp",
        "",
        "gmail.com",
        "bornek.com.tr",
        "ornek.com",
        "ελλάδα.gr",
        "магазин.com",
        "日本カメラ.jp",
        "1a-reifen.de",
    ],
)
def test_an_honest_domain_is_not(domain: str) -> None:
    assert not looks_alike(domain, {"ornek.com.tr"})


# --- forwarded mail (ARC)


def sealed(
    aar: str, sealer: str = "google.com", said: str = "arc=pass (i=1 dmarc=pass fromdomain=example.com)"
) -> bytes:
    chain = (
        f"ARC-Seal: i=1; a=rsa-sha256; t=1; cv=none;\n        d={sealer}; s=arc; b=x\n"
        "ARC-Message-Signature: i=1; a=rsa-sha256; d=x; s=arc; h=from; bh=x; b=x\n"
        f"ARC-Authentication-Results: i=1; mx.google.com;\n       {aar}\n"
    )
    return written(
        google(f"{said}; spf=fail smtp.mailfrom=f.example; dmarc=fail (p=REJECT dis=NONE) header.from=example.com")
        + chain
    )


def test_a_forwarder_we_believe_may_vouch() -> None:
    trust = judged(sealed("dkim=pass header.i=@example.com; dmarc=pass (p=REJECT) header.from=example.com"))
    assert (trust.proof, trust.refused) == (GOOD, False)
    assert "before the mail was forwarded" in trust.why


def test_a_chain_proves_nothing_by_itself() -> None:
    good = "dmarc=pass header.from=example.com"
    assert judged(sealed(good, "evil.example")).proof is NONE
    assert judged(sealed(good, "google.com.evil.example")).proof is NONE
    assert judged(sealed(good, said="arc=fail")).proof is NONE
    assert judged(sealed(good, said="arc=none")).proof is NONE
    assert judged(sealed("dmarc=fail header.from=example.com")).proof is NONE
    assert judged(sealed("dmarc=pass header.from=other.example")).proof is NONE
    assert judged(sealed(good), trusting()).proof is NONE
    assert judged(sealed(good, "evil.example")).refused


@pytest.mark.parametrize(
    "more",
    [
        "ARC-Seal: i=1; d=evil.example; b=x\n",
        "ARC-Seal: i=2; d=evil.example; b=x\n",
        "ARC-Seal: i=2; d=google.com; b=x\n",
        "ARC-Seal: d=google.com; b=x\n",
        "ARC-Authentication-Results: i=1; mx.google.com; dmarc=pass header.from=example.com\n",
        "ARC-Authentication-Results: i=2; mx.google.com; dmarc=pass header.from=example.com\n",
    ],
)
def test_a_chain_with_a_link_too_many_is_none(more: str) -> None:
    chain = sealed("dmarc=pass header.from=example.com")
    assert judged(chain).proof is GOOD
    for place in (b"ARC-Seal: i=1", b"From: "):
        assert judged(chain.replace(place, more.encode() + place, 1)).proof is NONE


# --- what we verify ourselves


@lru_cache(maxsize=1)
def key() -> tuple[bytes, bytes]:
    """A private key and the record that DNS has of it."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.private_bytes(*formats), b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def dns_of(*domains: str) -> Callable[[bytes], bytes | None]:
    known = {f"s1._domainkey.{domain}.".encode() for domain in domains}
    return lambda name: key()[1] if name in known else None


def signed(domain: str = "example.com", raw: bytes = b"", **options: object) -> bytes:
    raw = raw or written("").replace(b"\n", b"\r\n")
    field: bytes = dkim.sign(raw, b"s1", domain.encode(), key()[0], canonicalize=(b"relaxed", b"relaxed"), **options)
    return field + raw


def test_a_signature_we_verify_proves_the_sender_where_nobody_judged() -> None:
    trust = judged(signed(), keys=dns_of("example.com"))
    assert (trust.proof, trust.why) == (GOOD, "Santral verified the DKIM signature of example.com")
    assert judged(signed("mail.example.com"), keys=dns_of("mail.example.com")).proof is GOOD
    assert judged(b"Received: from a by b; x\r\n" + signed(), keys=dns_of("example.com")).proof is GOOD
    assert judged(signed().replace(b"\r\n", b"\n"), keys=dns_of("example.com")).proof is GOOD
    several = signed(raw=signed("esp.example.net", signed("other.example")))
    assert judged(several, keys=dns_of("example.com")).proof is GOOD


def test_a_signature_that_is_not_good_proves_nothing() -> None:
    keys = dns_of("example.com", "evil.example")
    assert judged(signed()).proof is NONE
    assert judged(signed(), keys=dns_of()).proof is NONE
    assert judged(signed("evil.example"), keys=keys).proof is NONE
    assert judged(signed().replace(b"Merhaba", b"Adres degisti"), keys=keys).proof is NONE
    assert judged(signed().replace(b"Sipari", b"Para iade"), keys=keys).proof is NONE
    assert judged(signed().replace(b"ayse@example.com", b"evil@example.com"), keys=keys).proof is NONE
    assert judged(b"From: ayse@example.com\r\n" + signed("evil.example"), keys=keys).proof is NONE
    assert judged(signed(signature_algorithm=b"rsa-sha1"), keys=keys).proof is NONE
    other = mime.parse(signed().replace(b"ayse@example.com", b"evil@example.com"))
    assert proof.judge(other, signed(), Envelope(), US, keys).proof is NONE  # read in two ways


def test_a_signature_that_leaves_room_for_more_text_is_none() -> None:
    raw = signed(length=True)
    assert b"l=" in raw
    assert judged(raw, keys=dns_of("example.com")).proof is NONE
    assert judged(raw + b"Hesabimiz degisti.\r\n", keys=dns_of("example.com")).proof is NONE
    said = google("dkim=pass header.d=example.com; dmarc=pass header.from=example.com").replace("\n", "\r\n").encode()
    assert judged(said + raw).proof is NONE
    assert judged(said + signed()).proof is GOOD


def test_a_signature_is_not_verified_again_where_our_receiver_judged() -> None:
    for said in ("dmarc=fail (p=none) header.from=example.com", "dkim=fail header.d=example.com", "dmarc=temperror"):
        head = google(said).replace("\n", "\r\n").encode()
        assert judged(head + signed(), keys=dns_of("example.com")).proof is NONE
    for said in ("spf=none", "dmarc=none header.from=example.com"):
        head = google(said).replace("\n", "\r\n").encode()
        assert judged(head + signed(), keys=dns_of("example.com")).proof is GOOD


def test_a_look_up_that_fails_proves_nothing_and_raises_nothing() -> None:
    def broken(name: bytes) -> bytes | None:
        raise OSError("no network")

    assert judged(signed(), keys=broken).proof is NONE
    for record in (b"", b"v=DKIM1; p=", b"v=DKIM1; k=ed25519; p=AAAA", b"p=!!!", b"\xff\xfe", b"v=DKIM1; p=AAAA"):
        assert judged(signed(), keys=lambda name, record=record: record).proof is NONE  # type: ignore[misc]


@pytest.mark.parametrize(
    "raw",
    [
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s1; h=from; bh=x; b=" + b" \r\n " * 3_000 + b"\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1; h=from; bh=eA==; b=eA==\r\n" * 90,
        b"DKIM-Signature: " + b";" * 100_000 + b"\r\n",
        b"DKIM-Signature: d=example.com; h=from; a=rsa-sha256\r\n",
    ],
    ids=["blanks", "many", "empty tags", "poor"],
)
def test_hostile_signatures_are_read_in_bounded_time(raw: bytes) -> None:
    body = b" " * 3_000_000 + b"x" + b" \t" * 200_000 + b"\r\n"
    whole = raw + written("").replace(b"\n", b"\r\n") + body
    assert judged(whole, keys=dns_of("example.com")).proof is NONE


# --- who the customer is


def test_the_customer_of_a_contact_form_is_who_filled_it_in() -> None:
    raw = written(
        google("dmarc=pass header.from=ornek.com.tr"), "From: form@ornek.com.tr\nReply-To: Can <can@example.com>\n"
    )
    trust = judged(raw)
    assert proof.customer(mime.parse(raw), US) == Mailbox(address="can@example.com", name="Can")
    assert (trust.proof, trust.warnings) == (NONE, ())
    assert "contact form" in trust.why
    ours = written("", "From: form@ornek.com.tr\nReply-To: destek@ornek.com.tr\n")
    assert proof.customer(mime.parse(ours), US) is None


def test_elsewhere_the_customer_is_the_sender_whatever_the_reply_address() -> None:
    raw = written("", "From: a@example.com\nReply-To: b@evil.example\n")
    assert proof.customer(mime.parse(raw), US) == Mailbox(address="a@example.com")
    assert proof.customer(mime.parse(written("", "From: nobody\n")), US) is None
    assert proof.customer(Mail(), US) is None


# --- whatever comes

pieces = st.sampled_from(
    [
        "dmarc=pass",
        "header.from=example.com",
        "dkim=pass",
        "header.d=example.com",
        "spf=pass",
        "arc=pass",
        ";",
        "(",
        ")",
        '"',
        "\\",
        "=",
        " ",
        "\n ",
        "i=1",
        "smtp.mailfrom=example.com",
        "evil.example",
        "mx.google.com.evil.example",
        "1",
    ]
)
text = st.one_of(st.text(max_size=120), st.lists(pieces, max_size=14).map(" ".join))


@given(values=st.lists(text, max_size=4), hops=st.lists(text, max_size=2))
def test_results_without_a_trusted_name_never_prove_anything(values: list[str], hops: list[str]) -> None:
    fields = [("received", hop) for hop in hops]
    fields += [("authentication-results", value.replace("mx.google.com;", "")) for value in values]
    fields += [("arc-authentication-results", value) for value in values] + [("arc-seal", value) for value in values]
    fields.append(("from", "ayse@example.com"))
    mail = Mail(headers=Headers(fields=tuple(fields)), from_=(Mailbox(address="ayse@example.com"),))
    for us in (US, trusting("mx.ornek.com.tr"), trusting()):
        mine = [value for value in values if results.parse(value).authserv in us.trusted_authserv]
        if not mine:
            assert proof.judge(mail, b"", Envelope(), us, None).proof is NONE


@given(value=text)
def test_any_results_are_read_without_an_error(value: str) -> None:
    found = results.parse(value)
    assert len(found.found) <= results.MOST_RESULTS + 1
    for result in found.found:
        assert result.method and result.value


@given(comment=st.text(alphabet=st.characters(exclude_characters='()"\\'), max_size=60))
def test_a_comment_never_becomes_a_result(comment: str) -> None:
    found = results.parse(f"mx; spf=fail ({comment} ; dmarc=pass header.from=example.com) smtp.mailfrom=x")
    assert [result.method for result in found.found] == ["spf"]


@given(raw=st.binary(max_size=300), field=st.text(max_size=80))
def test_no_mail_makes_it_fail(raw: bytes, field: str) -> None:
    fields = (("dkim-signature", "d=example.com; h=from; a=rsa-sha256;" + field), ("from", field))
    mail = Mail(headers=Headers(fields=fields), from_=(Mailbox(address="a@example.com", name=field),), subject=field)
    assert (
        proof.judge(mail, b"DKIM-Signature: d=example.com\r\n" + raw, Envelope(), US, dns_of("example.com")).proof
        is NONE
    )


@pytest.mark.parametrize(
    "value",
    [
        "(" * 50_000,
        ")" * 50_000,
        '"' * 50_001,
        "a=b;" * 20_000,
        "=" * 50_000,
        "\\" * 50_001,
        " " * 50_000,
        "i=1" * 9_000,
        "mx.google.com;" + " dkim=pass header.d=example.org" * 5_000,
    ],
    ids=range(9),
)
def test_hostile_results_are_read_in_bounded_time(value: str) -> None:
    fields = tuple((name, value) for name in ("authentication-results", "arc-seal", "received", "dkim-signature") * 20)
    mail = Mail(headers=Headers(fields=fields), from_=(Mailbox(address="a@example.com"),))
    assert proof.judge(mail, b"", Envelope(), US, None).proof is NONE


# --- keys from DNS


class Server:
    """A name server on this machine: answers from `records`, fails on "broken", says nothing on "silent"."""

    def __init__(self, records: dict[str, str]) -> None:
        self.records = records
        self.asked: list[str] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                data, client = self.socket.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(data)
            if not query.question:
                return
            name = query.question[0].name.to_text().rstrip(".")
            self.asked.append(name)
            if "silent" in name:
                continue
            answer = dns.message.make_response(query)
            if name in self.records:
                answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "TXT", self.records[name]))
            else:
                answer.set_rcode(dns.rcode.SERVFAIL if "broken" in name else dns.rcode.NXDOMAIN)
            self.socket.sendto(answer.to_wire(), client)

    def close(self) -> None:
        self.socket.sendto(dns.message.Message().to_wire(), ("127.0.0.1", self.port))
        self.thread.join(5)
        self.socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    record = key()[1].decode()
    here = Server(
        {"s1._domainkey.example.com": f'"{record[:100]}" "{record[100:]}"', "x._domainkey.example.com": "spf1"}
    )
    yield here
    here.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_asked_for_once_an_hour(server: Server) -> None:
    clock = Clock()
    keys = Keys(nameservers=["127.0.0.1"], port=server.port, clock=clock)
    assert keys(b"s1._domainkey.example.com.") == key()[1]
    assert judged(signed(), keys=keys).proof is GOOD
    assert keys(b"S1._domainkey.Example.com") == key()[1]
    assert len(server.asked) == 1
    clock.now += 3601
    assert keys(b"s1._domainkey.example.com.") == key()[1]
    assert len(server.asked) == 2


def test_a_key_that_is_not_there_is_asked_for_again_after_five_minutes(server: Server) -> None:
    clock = Clock()
    keys = Keys(nameservers=["127.0.0.1"], port=server.port, clock=clock)
    for _ in range(3):
        assert keys(b"gone._domainkey.example.com.") is None
        assert keys(b"x._domainkey.example.com.") is None
    assert len(server.asked) == 2
    clock.now += 301
    assert keys(b"gone._domainkey.example.com.") is None
    assert len(server.asked) == 3


def test_what_is_no_key_is_never_asked_for(server: Server) -> None:
    keys = Keys(nameservers=["127.0.0.1"], port=server.port)
    for name in (
        b"",
        b".",
        b"example.com.",
        b"\xff._domainkey.example.com",
        b"a" * 300 + b"._domainkey.x",
        b"_domainkey.x",
    ):
        assert keys(name) is None
    assert keys(b"a..b._domainkey.example.com") is None
    assert keys(b"a" * 70 + b"._domainkey.example.com") is None
    assert server.asked == []


def test_when_nobody_answers_twice_no_question_is_asked_for_a_minute(server: Server) -> None:
    clock = Clock()
    keys = Keys(nameservers=["127.0.0.1"], port=server.port, query=0.05, lifetime=0.05, clock=clock)
    assert keys(b"a._domainkey.silent.example") is None
    assert keys(b"b._domainkey.silent.example") is None
    before = len(server.asked)
    assert keys(b"s1._domainkey.example.com") is None
    assert len(server.asked) == before
    clock.now += 61
    assert keys(b"s1._domainkey.example.com") == key()[1]
    assert keys(b"a._domainkey.silent.example") is None
    assert server.asked[-1] == "s1._domainkey.example.com"


def test_a_domain_whose_own_servers_are_broken_does_not_stop_the_others(server: Server) -> None:
    keys = Keys(nameservers=["127.0.0.1"], port=server.port, clock=Clock())
    for name in (b"a._domainkey.broken.example", b"b._domainkey.broken.example", b"c._domainkey.broken.example"):
        assert keys(name) is None
    assert keys(b"s1._domainkey.example.com") == key()[1]


# --- mail that its domain wants refused


def meant(raw: bytes, us: Us = US, *, person: bool = False) -> tuple[Event, ...]:
    reading = read.examine(raw, Envelope(), us, person=person)
    return read.events("mail", "1", b"digest", AT, reading, us)


DISOWNED = google("dkim=none; spf=none; dmarc=fail (p=REJECT sp=REJECT dis=NONE) header.from=example.com")
OURS = message_id(DELIVERY, "ornek.com.tr")


@pytest.mark.parametrize("more", ["", "Auto-Submitted: auto-replied\n", "List-Id: <x.example.com>\n"])
def test_a_mail_that_its_domain_disowns_is_set_aside(more: str) -> None:
    (event,) = meant(written(DISOWNED, more=more))
    assert isinstance(event, Automated) and event.what == REFUSED


def test_a_mail_that_its_domain_disowns_is_read_where_there_is_a_reason_to() -> None:
    assert isinstance(meant(written(DISOWNED), person=True)[0], Received), "an agent asked for it"
    assert isinstance(meant(written(DISOWNED, more=f"In-Reply-To: {OURS}\n"))[0], Received), "it answers a mail of ours"
    marked = f"Delivered-To: {tagged('destek@ornek.com.tr', 'r', DELIVERY)}\n"
    assert isinstance(meant(written(DISOWNED, more=marked))[0], Received), "it came to the address of an answer"
    form = "From: form@ornek.com.tr\nReply-To: can@example.com\n"
    assert isinstance(meant(written(DISOWNED.replace("example.com", "ornek.com.tr"), form))[0], Received)
    lenient = DISOWNED.replace("REJECT", "NONE")
    assert isinstance(meant(written(lenient))[0], Received), "its domain does not ask for it"


def test_figures_about_our_domain_are_no_complaint() -> None:
    named = written(google(PASS)).replace(
        "Subject: Sipariş".encode(), b"Subject: Report Domain: ornek.com.tr Submitter: x"
    )
    (event,) = meant(named)
    assert isinstance(event, Automated) and event.what == "list"
