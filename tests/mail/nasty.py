"""Mails as the world sends them: broken, hostile, strange. Builders and a table of them, all people invented.

Rule: a builder returns raw bytes and has no randomness, so that every test that uses one tests the same mail.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping

FROM = "Ayşe Yılmaz <ayse@example.com>"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
PDF = b"%PDF-1.4\n" + b"not much of a document\n" * 5


def mail(
    body: bytes | str = b"",
    *,
    kind: str = "text/plain; charset=utf-8",
    subject: str = "Order 1042",
    extra: Iterable[str] = (),
    encoding: str = "8bit",
    sender: str | None = FROM,
) -> bytes:
    """A mail with the usual headers in UTF-8, lines ended with CRLF, and this body as it stands."""
    lines = [
        "Return-Path: <ayse@example.com>",
        *([f"From: {sender}"] if sender is not None else []),
        "To: destek@ornek.com.tr",
        f"Subject: {subject}",
        "Date: Tue, 5 Nov 2024 10:12:00 +0300",
        "Message-ID: <a1.42@example.com>",
        "MIME-Version: 1.0",
        f"Content-Type: {kind}",
        f"Content-Transfer-Encoding: {encoding}",
        *extra,
    ]
    content = body.encode() if isinstance(body, str) else body
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + content


def part(body: bytes | str, kind: str = "text/plain; charset=utf-8", *extra: str) -> bytes:
    """One part of a multipart: its headers and its body."""
    content = body.encode() if isinstance(body, str) else body
    return "\r\n".join([f"Content-Type: {kind}", *extra]).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + content


def attached(data: bytes, kind: str, filename: str = "", *extra: str) -> bytes:
    """An attachment in base64."""
    shown = f'Content-Disposition: attachment; filename="{filename}"' if filename else "Content-Disposition: attachment"
    return part(wrapped(data), kind, "Content-Transfer-Encoding: base64", shown, *extra)


def wrapped(data: bytes) -> bytes:
    """Base64 in lines of 76."""
    text = b64encode(data)
    return b"\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))


def joined(parts: Iterable[bytes], boundary: str = "b1") -> bytes:
    """The body of a multipart."""
    mark = boundary.encode()
    return b"".join(b"--" + mark + b"\r\n" + each + b"\r\n" for each in parts) + b"--" + mark + b"--\r\n"


def multipart(*parts: bytes, subtype: str = "mixed", boundary: str = "b1", encoding: str = "8bit") -> bytes:
    """A whole multipart mail."""
    return mail(joined(parts, boundary), kind=f'multipart/{subtype}; boundary="{boundary}"', encoding=encoding)


def inner(*parts: bytes, subtype: str = "alternative", boundary: str = "b2") -> bytes:
    """A multipart as a part of another one."""
    return part(joined(parts, boundary), f'multipart/{subtype}; boundary="{boundary}"')


# --- TNEF


def tnef(*, files: Iterable[tuple[str, bytes]] = (), text: str = "", html: str = "", codepage: int = 1254) -> bytes:
    """A winmail.dat with these files and this text."""
    stream = struct.pack("<IH", 0x223E9F78, 1) + _attribute(2, 0x00069007, struct.pack("<II", codepage, 0))
    if text:
        stream += _attribute(1, 0x0002800C, text.encode(f"cp{codepage}") + b"\0")
    if html:
        stream += _attribute(1, 0x00069003, _properties([(0x0102, 0x1013, html.encode())]))
    for name, data in files:
        stream += _attribute(2, 0x00069002, bytes(14))
        stream += _attribute(2, 0x00018010, b"SHORT~1.BIN\0")
        stream += _attribute(2, 0x0006800F, data)
        stream += _attribute(2, 0x00069005, _properties([(0x001F, 0x3707, (name + "\0").encode("utf-16-le"))]))
    return stream


def _attribute(level: int, name: int, data: bytes) -> bytes:
    return struct.pack("<BII", level, name, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def _properties(values: Iterable[tuple[int, int, bytes]]) -> bytes:
    listed = list(values)
    text = struct.pack("<I", len(listed))
    for kind, name, data in listed:
        text += struct.pack("<HHII", kind, name, 1, len(data)) + data + bytes(-len(data) % 4)
    return text


# --- S/MIME


def signed_smime(content: bytes, *, indefinite: bool = False) -> bytes:
    """The outer layers of a CMS SignedData around `content`; programs that stream write indefinite lengths."""
    version, digests = _der(0x02, b"\x01"), _der(0x31, b"")
    data_type = _der(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")
    signed_type = _der(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")
    if not indefinite:
        enclosed = _der(0x30, data_type + _der(0xA0, _der(0x04, content)))
        return _der(0x30, signed_type + _der(0xA0, _der(0x30, version + digests + enclosed + _der(0x31, b""))))
    chunks = b"".join(_der(0x04, content[at : at + 100]) for at in range(0, len(content), 100))
    enclosed = b"\x30\x80" + data_type + b"\xa0\x80\x24\x80" + chunks + b"\0\0" * 3
    return (
        b"\x30\x80" + signed_type + b"\xa0\x80\x30\x80" + version + digests + enclosed + _der(0x31, b"") + b"\0\0" * 3
    )


def enveloped_smime() -> bytes:
    """The beginning of a CMS EnvelopedData: there is nothing in it to read."""
    return _der(0x30, _der(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03") + _der(0xA0, _der(0x30, b"\x17" * 40)))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(digits)]) + digits + content


# --- hostile


def nested(depth: int) -> bytes:
    """Multiparts within multiparts; the innermost text is "deep"."""
    head = "".join(f"Content-Type: multipart/mixed; boundary=n{level}\n\n--n{level}\n" for level in range(depth))
    return b"From: a@example.com\nSubject: nested\n" + head.encode() + b"Content-Type: text/plain\n\ndeep\n"


def many_parts(count: int) -> bytes:
    return (
        b"From: a@example.com\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nhello\n" * count + b"--b--\n"
    )


def enclosed(depth: int) -> bytes:
    """Mails enclosed in mails."""
    return b"From: a@example.com\nContent-Type: message/rfc822\n\n" * depth + b"Subject: core\n\ndeep\n"


def shared_boundary(depth: int) -> bytes:
    """Multiparts that all use the boundary of their neighbours."""
    return (
        b"From: a@example.com\n"
        + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * depth
        + b"\ntext\n--b--\n" * depth
    )


def _html(text: str) -> bytes:
    return mail(text, kind="text/html; charset=utf-8")


_LONG = 200_000

HOSTILE: Mapping[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "one line break": lambda: b"\n",
    "zeros": lambda: bytes(50_000),
    "every byte": lambda: bytes(range(256)) * 100,
    "2,000 nested multiparts": lambda: nested(2_000),
    "100,000 parts": lambda: many_parts(100_000),
    "1,000 enclosed mails": lambda: enclosed(1_000),
    "equal boundaries, nested": lambda: shared_boundary(500),
    "boundary beginnings": lambda: many_parts(1) + b"--bx\n" * 200_000,
    "openings of multiparts": lambda: (
        many_parts(0) + b"--b\nContent-Type: multipart/mixed; boundary=c\n\n--cx\n" * 20_000
    ),
    "multiparts that tell no boundary": lambda: (
        b"Content-Type: multipart/mixed; boundary=b\n\n"
        + b"--b\nContent-Type: multipart/mixed\n\n--c\n--d\n--e\n" * 5_000
    ),
    "20,000 encoded words": lambda: mail("x", subject="=?utf-8?q?Sipari=C5=9F?= " * 20_000),
    "encoded words that never end": lambda: mail("x", subject="=?utf-8?q?=41" * 20_000),
    "5,000 recipients": lambda: mail("x", extra=["Cc: " + ", ".join(f"N{i} <n{i}@example.com>" for i in range(5_000))]),
    "open quotes": lambda: mail("x", sender='"\\' * 30_000),
    "open comments": lambda: mail("x", sender="(" * 60_000),
    "open brackets": lambda: mail("x", sender="<" * 60_000),
    "colons": lambda: mail("x", sender="a:" * 30_000),
    "a header of 2 MB": lambda: mail("x", subject="a" * 2_000_000),
    "50,000 headers": lambda: b"X-A: b\n" * 50_000 + b"From: evil@example.com\n\nhello\n",
    "a header folded 50,000 times": lambda: b"Subject: a\n" + b" b\n" * 50_000 + b"\nhello\n",
    "lines that are no headers": lambda: b"Subject: a\n" + b"x\nTo: b@example.com\n" * 20_000 + b"\nhello\n",
    "carriage returns": lambda: b"Subject: a\n" + b"\r" * _LONG + b"\n\nhello",
    "spaces in Content-Type": lambda: mail("x", kind="text/plain" + " " * _LONG + "; charset=utf-8"),
    "parameters that never end": lambda: mail("x", kind="text/plain" + ';a="\\' * 40_000),
    "split parameters": lambda: mail("x", kind="text/plain" + "".join(f"; name*{n}*=%41" for n in range(10_000))),
    "references": lambda: mail("x", extra=["References: " + "<a@b" * 50_000]),
    "ids without brackets": lambda: mail("x", extra=["References: " + "a" * _LONG]),
    "50,000 line breaks": lambda: mail("\n" * 50_000),
    "quote marks": lambda: mail(">" * _LONG, kind="text/plain; format=flowed"),
    "a flowed line": lambda: mail("a \n" * 60_000, kind="text/plain; format=flowed; delsp=yes"),
    "uuencode that never ends": lambda: mail("begin 644 a\n" * 15_000 + "\nend\n"),
    "PGP that never ends": lambda: mail("-----BEGIN PGP SIGNED MESSAGE-----\n" * 6_000),
    "padding": lambda: mail(b"QQ==" * 50_000, encoding="base64"),
    "soft breaks": lambda: mail(b"=\n" * 100_000, encoding="quoted-printable"),
    "deep HTML": lambda: _html("<div>" * 100_000 + "x"),
    "deep quotes": lambda: _html("<blockquote>" * 50_000 + "x"),
    "HTML that multiplies": lambda: _html("".join(f"<b id={n}>" for n in range(5_000)) + "<p>x" * 50_000),
    "closed before opened": lambda: _html(
        "</b>" * 5_000 + "".join(f"<b id={n}>" for n in range(5_000)) + "<p>x" * 50_000
    ),
    "links in links": lambda: _html("<a href=x><p>" * 20_000),
    "tables in tables": lambda: _html("<table><tr><td>" * 20_000 + "x"),
    "lists in lists": lambda: _html("<ul><li>" * 20_000 + "x"),
    "open tags": lambda: _html("<" * _LONG),
    "an attribute that never ends": lambda: _html('<a href="' + "x" * _LONG),
    "comments that never end": lambda: _html("<!--" * 50_000),
    "entities": lambda: _html("&amp;" * 40_000),
    "pictures that never end": lambda: _html("<img src='data:image/png;base64," * 5_000),
    "a calendar of colons": lambda: mail("BEGIN:VEVENT\n" + 'A;"' * 60_000, kind="text/calendar"),
    "TNEF of lies": lambda: multipart(attached(tnef()[:6] + b"\xff" * 5_000, "application/ms-tnef", "winmail.dat")),
    "a signature of lies": lambda: mail(b"\x30\x80" * 5_000, kind="application/pkcs7-mime", encoding="binary"),
    "zlib as a charset": lambda: mail(b"x\x9cK\x04\x00\x00b\x00b", kind="text/plain; charset=zlib", encoding="binary"),
}
