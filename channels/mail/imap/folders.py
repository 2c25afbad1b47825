"""Which folders of a mailbox are read, and where its sent mail lies.

Rule: what the server marks (SPECIAL-USE, RFC 6154) counts before what a folder is called; a name decides only where
nothing is marked.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

INBOX = "INBOX"

# As providers and mail programs call them, in the languages they are sold in. Compared without regard to case.
SPAM_NAMES = (
    "Junk",
    "Spam",
    "Junk E-mail",
    "Junk Email",
    "Junk Mail",
    "Bulk Mail",
    "Bulk",
    "Önemsiz",
    "Önemsiz E-posta",
    "Gereksiz",
    "Gereksiz E-posta",
    "İstenmeyen",
    "İstenmeyen E-posta",
    "İstenmeyen Postalar",
    "Спам",
    "Нежелательная почта",
    "Небажана пошта",
    "Нежадана поща",
    "Нежелана поща",
    "Junk-E-Mail",
    "Spamverdacht",
    "Unerwünscht",
    "Courrier indésirable",
    "Indésirables",
    "Pourriel",
    "Correo no deseado",
    "Correo basura",
    "No deseado",
    "Lixo Eletrônico",
    "Lixo eletrónico",
    "Lixo",
    "Posta indesiderata",
    "Indesiderata",
    "Ongewenste e-mail",
    "Ongewenst",
    "Wiadomości-śmieci",
    "Niechciane",
    "Nevyžádaná pošta",
    "Nevyžiadaná pošta",
    "Levélszemét",
    "Mesaje nedorite",
    "Ανεπιθύμητη αλληλογραφία",
    "Ανεπιθύμητα",
    "Skräppost",
    "Søppelpost",
    "Uønsket e-post",
    "Uønsket mail",
    "Uønsket post",
    "Roskaposti",
    "Rämpspost",
    "Mēstules",
    "Brukalas",
    "Neželena pošta",
    "Neželjena pošta",
    "Нежељена пошта",
    "البريد غير الهام",
    "البريد العشوائي",
    "البريد المزعج",
    "غير هام",
    "הודעות זבל",
    "דואר זבל",
    "דואר זבל אלקטרוני",
    "هرزنامه",
    "Arzunaməktublar",
    "Қажетсіз пошта",
    "迷惑メール",
    "スパム",
    "垃圾邮件",
    "垃圾郵件",
    "정크 메일",
    "스팸메일함",
    "스팸함",
    "จดหมายขยะ",
    "Thư rác",
    "Sampah",
    "जंक ईमेल",
)
SENT_NAMES = (
    "Sent",
    "Sent Mail",
    "Sent Items",
    "Sent Messages",
    "Gönderilmiş Öğeler",
    "Gönderilmiş Postalar",
    "Gönderilenler",
    "Gönderilen",
    "Gönderilmiş",
    "Отправленные",
    "Надіслані",
    "Изпратени",
    "Gesendet",
    "Gesendete Objekte",
    "Gesendete Elemente",
    "Envoyés",
    "Éléments envoyés",
    "Messages envoyés",
    "Enviados",
    "Elementos enviados",
    "Itens Enviados",
    "Posta inviata",
    "Inviati",
    "Verzonden",
    "Verzonden items",
    "Wysłane",
    "Elementy wysłane",
    "Odeslaná pošta",
    "Odeslané",
    "Odoslaná pošta",
    "Elküldött",
    "Elküldött elemek",
    "Elemente trimise",
    "Trimise",
    "Απεσταλμένα",
    "Skickat",
    "Sendt",
    "Sendte elementer",
    "Lähetetyt",
    "Poslano",
    "Послато",
    "العناصر المرسلة",
    "المرسلة",
    "פריטים שנשלחו",
    "נשלחו",
    "送信済み",
    "送信済みアイテム",
    "已发送",
    "已发送邮件",
    "寄件備份",
    "보낸편지함",
    "보낸 편지함",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder as the server lists it: its full name, decoded, and its marks such as `\\Junk`."""

    name: str
    marks: tuple[str, ...] = ()
    delimiter: str = "/"  # between levels; "" when there are none

    @property
    def own_name(self) -> str:
        return self.name.rpartition(self.delimiter)[2] if self.delimiter else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """What is read and where sent mail lies. `missing` are wanted folders that the server does not have."""

    read: tuple[str, ...]  # the inbox first
    spam: frozenset[str] = frozenset()  # those of `read` that hold what the provider takes for spam
    sent: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def choose(found: Sequence[Folder], wanted: Iterable[str] = ()) -> Folders:
    """Choose the inbox, the spam folder and what else is wanted, by full name or by its last part."""
    can = [folder for folder in found if not {"\\noselect", "\\nonexistent"} & _marks(folder)]
    spam = _marked(can, "\\junk", "\\spam") or _named(can, SPAM_NAMES)
    sent = _marked(can, "\\sent") or _named(can, SENT_NAMES)
    read, missing = [INBOX, *(folder.name for folder in spam)], []
    for name in wanted:
        match = [folder for folder in can if _fold(folder.name) == _fold(name)]
        match = match or [folder for folder in can if _fold(folder.own_name) == _fold(name)]
        if _fold(name) != _fold(INBOX):
            read += [folder.name for folder in match[:1]]
            missing += [] if match else [name]
    return Folders(
        read=tuple(dict.fromkeys(read)),
        spam=frozenset(folder.name for folder in spam),
        sent=tuple(folder.name for folder in sent),
        missing=tuple(missing),
    )


def _marks(folder: Folder) -> set[str]:
    return {mark.lower() for mark in folder.marks}


def _marked(folders: Sequence[Folder], *marks: str) -> list[Folder]:
    return [folder for folder in folders if _marks(folder) & set(marks) and _fold(folder.name) != _fold(INBOX)]


def _named(folders: Sequence[Folder], names: Sequence[str]) -> list[Folder]:
    """The one folder whose name is known, the best known name first, and of several the least deep."""
    rank = {_fold(name): at for at, name in reversed(list(enumerate(names)))}
    fitting = [folder for folder in folders if _fold(folder.own_name) in rank]
    return sorted(fitting, key=lambda folder: (rank[_fold(folder.own_name)], len(folder.name)))[:1]


def _fold(name: str) -> str:
    """Without case, and with Turkish dotted and dotless i alike: servers write both."""
    folded = unicodedata.normalize("NFKC", name).casefold().replace("i̇", "i").replace("ı", "i")
    return " ".join(folded.split())
