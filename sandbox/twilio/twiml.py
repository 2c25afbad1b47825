"""What the shop's answer to a message webhook makes Twilio do.

Rule: pure. An answer is obeyed, not forgiven: plain text is a reply to the customer, whatever was meant by it.
Page: www.twilio.com/docs/messaging/twiml.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

MAX_BYTES = 64 << 10  # error 11750
XML = frozenset({"text/xml", "application/xml", "text/html", "application/rss+xml"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One <Message>. `status_callback` may be relative; empty `to` means who wrote."""

    text: str = ""
    media: tuple[str, ...] = ()
    to: str = ""
    status_callback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What to do. `problem` is a Debugger code, and then nothing is done; `redirect` comes after the replies."""

    replies: tuple[Reply, ...] = ()
    redirect: str = ""
    problem: int = 0
    warning: int = 0


def orders(content_type: str, body: bytes) -> Orders:
    """Read an answer with status 2xx."""
    if len(body) > MAX_BYTES:
        return Orders(problem=11750)
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/plain":
        text = body.decode("utf-8", "replace").strip()
        return Orders(replies=(Reply(text=text),) if text else ())
    if kind not in XML:
        return Orders(problem=12300)
    if not body.strip():
        return Orders()
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - the answer of the shop under test; expat bounds expansion
    except ElementTree.ParseError:
        return Orders(problem=12100)
    if root.tag != "Response":
        return Orders(problem=12100)
    replies, redirect, warning = [], "", 0
    for verb in root:
        if verb.tag in ("Message", "Sms"):
            replies.append(_reply(verb))
        elif verb.tag == "Redirect":
            redirect = (verb.text or "").strip()
            break
        else:
            warning = 12200
    return Orders(replies=tuple(replies), redirect=redirect, warning=warning)


def _reply(verb: ElementTree.Element) -> Reply:
    bodies = [body.text or "" for body in verb.findall("Body")]
    return Reply(
        text="".join([verb.text or "", *bodies]).strip(),
        media=tuple((media.text or "").strip() for media in verb.findall("Media")),
        to=verb.get("to", ""),
        status_callback=verb.get("statusCallback") or verb.get("action") or "",
    )
