"""How far the sender of a mail is who they say, and who the customer is.

Rule: what proves is a result that our own receiver wrote, or a DKIM signature we verified, for the domain that stands
in From. Everything else is a claim. Nothing here raises for what a mail contains.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from email.header import decode_header
from importlib import import_module

from channels.mail.judge import results
from channels.mail.judge.lookalikes import looks_alike
from channels.mail.judge.results import Result, Results, aligned, ascii_domain
from channels.mail.parse.headers import HIDDEN_ADDRESS, SEVERAL, TWO_FROMS
from channels.mail.values import MOST_BYTES, MOST_HEADERS, Envelope, Headers, Mail, Mailbox, Trust, Us
from channels.message import Proof

KeyLookup = Callable[[bytes], bytes | None]

# --- facts

MOST_SIGNATURES = 20  # that are looked at
MOST_VERIFIED = 3  # of the sender's own; each costs a look-up and a hash over the whole mail
MOST_SIGNATURE = 8_192  # characters of a field
_ALGORITHMS = frozenset({"rsa-sha256", "ed25519-sha256"})  # RFC 8301 retired SHA-1
_REFUSES = ("reject", "quarantine")
_SERVICE = "the mail service"
_POLICY = re.compile(r"(?<![\w.])(p|sp|dis|policy\.dmarc)\s?[=:]\s?([a-z]{1,20})")
_ADDRESS = re.compile(r"[^\s<>()\[\]\",;:@]{1,64}@[^\s<>()\[\]\",;:@]{1,253}\.[^\s<>()\[\]\",;:@.]{2,63}")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_TAG = re.compile(r"(?:^|;)\s{0,20}([a-z]{1,4})\s{0,20}=([^;]*)")
_LOG = logging.getLogger(f"{__name__}.dkim")
_LOG.disabled = True  # dkimpy logs what mails contain


def judge(mail: Mail, raw: bytes, envelope: Envelope, us: Us, keys: KeyLookup | None) -> Trust:
    """How far the sender is who they say. `keys` finds DKIM keys; without it no signature is verified here."""
    judged, place = results.block(mail.headers, us.trusted_authserv)
    judged = (*_service(mail, envelope), *judged)
    domain, doubt = _sender_domain(mail)
    why = ""
    if not doubt and domain and not _from_form(mail, us):
        why = (
            _by_dmarc(domain, judged, mail.headers)
            or _by_arc(domain, judged, place, mail.headers, us)
            or _by_domain(domain, judged, mail.headers)
        )
        if not why and not _judged_signatures(judged) and keys is not None:
            why = _by_own_check(domain, mail, raw, keys)
    return Trust(
        proof=Proof.AUTHENTICATED if why else Proof.CLAIMED,
        why=why or doubt or _doubt(domain, judged, mail, us),
        refused=not why and _refused(domain, judged),
        warnings=_warnings(mail, us),
    )


def customer(mail: Mail, us: Us) -> Mailbox | None:
    """Who wrote: From, or Reply-To where From is a configured contact form; None when no address is usable."""
    if _from_form(mail, us):
        return next((box for box in mail.reply_to if _usable(box) and box.address not in us.addresses), None)
    return next((box for box in (*mail.from_, *mail.sender, *mail.reply_to) if _usable(box)), None)


def _usable(box: Mailbox) -> bool:
    local, _, domain = box.address.rpartition("@")
    return bool(local) and len(box.address) <= 254 and bool(ascii_domain(domain)) and not re.search(r"\s", local)


def _from_form(mail: Mail, us: Us) -> bool:
    return any(box.address in us.contact_forms for box in mail.from_)


def _sender_domain(mail: Mail) -> tuple[str, str]:
    """The domain of From, and why it cannot be believed whoever vouches for it."""
    if mail.from_trouble:
        return "", f"the sender cannot be told: {mail.from_trouble}"
    if len(mail.from_) != 1 or len(mail.headers.all("from")) > 1:
        return "", "the sender cannot be told: the mail names none or several"
    domain = ascii_domain(mail.from_[0].domain)
    return domain, "" if domain else "the sender's address has no usable domain"


# --- what others have judged


def _service(mail: Mail, envelope: Envelope) -> tuple[Results, ...]:
    """The verdicts of the service that delivered the mail, in the form of a receiver's results."""
    told = {name: str(said).strip().lower() for name, said in envelope.verdicts.items()}
    domain = ascii_domain(mail.from_[0].domain) if len(mail.from_) == 1 else ""
    found = []
    if said := told.get("dmarc"):
        policy = told.get("dmarc_policy") or told.get("policy") or ""
        found.append(Result(method="dmarc", value=said, properties={"header.from": domain, "policy.dmarc": policy}))
    if said := told.get("spf"):
        found.append(Result(method="spf", value=said, properties={"smtp.mailfrom": envelope.mail_from or ""}))
    if said := told.get("dkim"):
        signers = told.get("dkim_domains", "").split()[:MOST_SIGNATURES]
        if not signers:  # which of the signatures passed is not told: all of them have to be the sender's
            every = [signer for signer, _ in _signatures(mail.headers)]
            signers = [domain] if every and all(aligned(signer, domain) for signer in every) else []
        found += [Result(method="dkim", value=said, properties={"header.d": signer}) for signer in signers or [""]]
    return (Results(authserv=_SERVICE, found=tuple(found)),) if found else ()


def _by_dmarc(domain: str, judged: Sequence[Results], headers: Headers) -> str:
    """A DMARC pass for exactly this domain, contradicted by no other result of the same receiver."""
    found = [(result, told.authserv) for told in judged for result in told.of("dmarc")]
    if not found or any(result.value != "pass" for result, _ in found):
        return ""
    if any(ascii_domain(_after_at(result, "header.from")) != domain for result, _ in found):
        return ""
    lengths = [limited for signer, limited in _signatures(headers) if aligned(signer, domain)]
    if lengths and all(lengths) and not _aligned_spf(domain, judged):
        return ""  # passed by a signature that leaves room for anybody's text
    return f"DMARC passed for {domain}, says {_who(found[0][1])}"


def _by_domain(domain: str, judged: Sequence[Results], headers: Headers) -> str:
    """Where no DMARC record exists: a signature or an envelope sender of the same organisation."""
    if any(result.value in ("pass", "fail") for told in judged for result in told.of("dmarc")):
        return ""
    lengths: dict[str, list[bool]] = {}
    for signer, limited in _signatures(headers):
        lengths.setdefault(signer, []).append(limited)
    for told in judged:
        for result in told.of("dkim"):
            signer = ascii_domain(result.properties.get("header.d", "") or _after_at(result, "header.i"))
            if result.value == "pass" and aligned(signer, domain) and not all(lengths.get(signer) or [False]):
                return f"a DKIM signature of {signer} passed, says {_who(told.authserv)}"
    if authserv := _aligned_spf(domain, judged):
        return f"SPF passed for {domain}, says {_who(authserv)}"
    return ""


def _aligned_spf(domain: str, judged: Sequence[Results]) -> str:
    for told in judged:
        for result in told.of("spf"):
            sender = _after_at(result, "smtp.mailfrom") or _after_at(result, "smtp.mail")
            guessed = "best guess" in result.comment  # the domain published nothing
            if result.value == "pass" and not guessed and aligned(ascii_domain(sender), domain):
                return told.authserv or "Microsoft 365"
    return ""


def _by_arc(domain: str, judged: Sequence[Results], place: int, headers: Headers, us: Us) -> str:
    """A forwarder we believe saw DMARC pass before it passed the mail on, and our receiver verified its seal."""
    chains = [result.value for told in judged for result in told.of("arc")]
    if place < 0 or not chains or any(value != "pass" for value in chains):
        return ""
    seen = results.sealed(headers, place, us.sealers)
    if seen is None or not _by_dmarc(domain, (seen,), headers):
        return ""
    return f"DMARC passed for {domain} before the mail was forwarded, says {_who(seen.authserv)}"


def _after_at(result: Result, name: str) -> str:
    return result.properties.get(name, "").rpartition("@")[2].strip("<>")


def _judged_signatures(judged: Sequence[Results]) -> bool:
    """Whether the receiver has looked at DKIM itself; that a domain has no DMARC record tells nothing of it."""
    dmarc = any(result.value != "none" for told in judged for result in told.of("dmarc"))
    return dmarc or any(told.of("dkim") for told in judged)


def _who(authserv: str) -> str:
    return authserv or "Microsoft 365"


def _refused(domain: str, judged: Sequence[Results]) -> bool:
    """Whether DMARC failed and the domain, or the receiver in its name, asks to reject or quarantine such mail."""
    for told in judged:
        for result in told.of("dmarc"):
            if result.value != "fail":
                continue
            said = dict(reversed(_POLICY.findall(result.comment)))
            said |= {name.removeprefix("policy."): value for name, value in result.properties.items()}
            below = bool(domain) and results.organisation(domain) != domain
            policy = said.get("sp") if below and said.get("sp") else said.get("p") or said.get("dmarc") or ""
            asked = " ".join((policy or "", said.get("dis", ""), said.get("action", ""), said.get("policy.dmarc", "")))
            asked += said.get("published-domain-policy", "")
            if any(word in asked for word in _REFUSES):
                return True
    return False


def _doubt(domain: str, judged: Sequence[Results], mail: Mail, us: Us) -> str:
    """Why nothing proves the sender, for an agent."""
    if _from_form(mail, us):
        return "typed into a contact form, where anybody can write any address"
    if any(result.value == "fail" for told in judged for result in told.of("dmarc")):
        return f"DMARC failed for {domain}: somebody else may have written in that name"
    if judged:
        return f"nothing proves that it comes from {domain}, says {_who(judged[0].authserv)}"
    return f"nothing proves that it comes from {domain}"


# --- what we verify ourselves


def _signatures(headers: Headers) -> list[tuple[str, bool]]:
    """The domain of each DKIM signature from the top, and whether `l=` leaves part of the body unsigned."""
    found = []
    for value in headers.all("dkim-signature")[:MOST_SIGNATURES]:
        tags = dict(_TAG.findall(value[:MOST_SIGNATURE]))
        found.append((ascii_domain("".join(tags.get("d", "").split())), "l" in tags))
    return found


def _by_own_check(domain: str, mail: Mail, raw: bytes, keys: KeyLookup) -> str:
    for signer in _verified(domain, mail, raw, keys):
        return f"Santral verified the DKIM signature of {signer}"
    return ""


def _verified(domain: str, mail: Mail, raw: bytes, keys: KeyLookup) -> Iterator[str]:
    """The signers aligned with `domain` whose signature is good."""
    ours = [place for place, (signer, _) in enumerate(_signatures(mail.headers)) if aligned(signer, domain)]
    if not ours or not raw or len(raw) > MOST_BYTES:
        return
    head, end, body = _split(raw)
    if not end or len(head) > MOST_HEADERS:
        return
    for place in ours[:MOST_VERIFIED]:
        field = mail.headers.all("dkim-signature")[place]
        tags = {name: "".join(value.split()) for name, value in _TAG.findall(field[:MOST_SIGNATURE])}
        if not _acceptable(field, tags):
            continue
        relaxed = tags.get("c", "").partition("/")[2] == "relaxed"
        whole = head + end + (_few_blanks(body) if relaxed else body)
        if _good(whole, place, mail, keys):
            yield ascii_domain(tags["d"])


def _split(raw: bytes) -> tuple[bytes, bytes, bytes]:
    place = re.search(rb"\r?\n\r?\n", raw[: MOST_HEADERS + 4])
    return (raw[: place.start()], raw[place.start() : place.end()], raw[place.end() :]) if place else (raw, b"", b"")


def _few_blanks(body: bytes) -> bytes:
    """A body without runs of blanks: the same to relaxed canonicalization, on which dkimpy takes quadratic time."""
    return re.sub(rb"[ \t]+", b" ", body).replace(b" \r\n", b"\r\n").replace(b" \n", b"\n")


def _acceptable(field: str, tags: dict[str, str]) -> bool:
    """A signature over the whole body and From, by an algorithm of today, that is cheap to read."""
    signed = tags.get("h", "").lower().split(":")
    blanks = re.search(r"\s{60}", field) is not None  # dkimpy's patterns take quadratic time on them
    whole = "l" not in tags and "from" in signed and len(field) <= MOST_SIGNATURE
    return whole and not blanks and tags.get("a", "").lower() in _ALGORITHMS


def _good(raw: bytes, place: int, mail: Mail, keys: KeyLookup) -> bool:
    dkim = import_module("dkim")

    def found(name: bytes, timeout: float = 0) -> bytes | None:
        return keys(name)

    try:
        message = dkim.DKIM(raw, logger=_LOG)
        senders = [value for name, value in message.headers if name.lower() == b"from"]
        if len(senders) != 1 or mail.from_[0].address.encode() not in senders[0].lower():
            return False  # it reads another From than we do
        return bool(message.verify(idx=place, dnsfunc=found))
    except Exception:  # noqa: BLE001 - dkimpy raises whatever its parsers meet; an unreadable signature is none
        return False


# --- what an agent should look at twice


def _warnings(mail: Mail, us: Us) -> tuple[str, ...]:
    found = []
    if trouble := _sender_trouble(mail):
        found.append(trouble)
    if any(_hides(box) for box in mail.from_):
        found.append("name_hides_address")
    if any(looks_alike(box.domain, us.domains) for box in mail.from_):
        found.append("lookalike")
    if _BIDI.search(_shown(mail)):
        found.append("bidi")
    if mail.from_ and mail.reply_to and not _from_form(mail, us):
        homes = {results.organisation(box.domain) for box in mail.from_}
        if any(results.organisation(box.domain) not in homes for box in mail.reply_to):
            found.append("reply_to_differs")
    return tuple(found)


def _sender_trouble(mail: Mail) -> str:
    """What is wrong with From: several senders, none, or one that cannot be read for sure; "" if nothing is."""
    several = len(mail.from_) > 1 or len(mail.headers.all("from")) > 1
    if several or mail.from_trouble in (TWO_FROMS, SEVERAL, HIDDEN_ADDRESS):
        return "two_froms"
    if not mail.from_:
        return "no_sender"
    return "broken_sender" if mail.from_trouble else ""


def _hides(box: Mailbox) -> bool:
    """A display name that is another address than the one it stands before."""
    named = _ADDRESS.findall(box.name[:500].replace("＠", "@").lower())
    return any(address.strip("'.") != box.address for address in named)


def _shown(mail: Mail) -> str:
    """What mail programs show of a head, before anything was cleaned out of it."""
    texts = [mail.subject, *(box.name + box.address for box in mail.from_), *(file.filename for file in mail.files)]
    for name in ("from", "subject"):
        value = mail.headers.first(name)[:2_000]
        texts.append(value)
        if "=?" in value:
            try:
                parts = decode_header(value)
                texts += [text if isinstance(text, str) else text.decode(code or "ascii") for text, code in parts]
            except (ValueError, LookupError):  # no such charset, broken words: nothing is shown of them either
                continue
    return "\n".join(texts)
