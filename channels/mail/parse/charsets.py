"""From bytes to the words somebody wrote, whatever the label says.

Rule: evidence in this order: byte order mark, declared charset read as browsers read it, UTF-8, detection, and at last
the declared charset with replacement characters. Nothing here raises, and no text leaves with NUL or lone surrogates.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from encodings.aliases import aliases
from functools import lru_cache

import chardet

# --- facts

DETECTED = 64 << 10  # bytes that the detector sees: 2 ms for short texts, and time grows with the length

# Labels as the WHATWG Encoding Standard reads them, and labels that real mail carries: https://encoding.spec.whatwg.org
_GROUPS = {
    "ascii": "ascii us usascii ansix341968 iso646us 646",
    "utf-8": "utf8 unicode11utf8 unicode20utf8 xunicode20utf8 utf8mb4 utf8mac cp65001 65001",
    "utf-16-le": "utf16 utf16le ucs2 unicode iso10646ucs2 csunicode unicodefeff",
    "utf-16-be": "utf16be unicodefffe",
    "utf-7": "utf7 unicode11utf7 unicode20utf7 csunicode11utf7 xunicode20utf7",
    "cp1252": "iso88591 latin1 l1 cp819 ibm819 isoir100 csisolatin1 iso88591windows30latin1 ansi westeuropean",
    "cp1254": "iso88599 latin5 l5 isoir148 csisolatin5 turkish",
    "cp874": "iso885911 tis620 windows874 dos874",
    "gb18030": "gb2312 gbk xgbk isogb2312 gb231280 csgb2312 csiso58gb231280 chinese isoir58 euccn xeuccn cp936",
    "hz": "hz hzgb2312",
    "big5hkscs": "big5 big5hkscs cnbig5 xxbig5 csbig5 cp950",
    "cp932": "shiftjis sjis xsjis mskanji csshiftjis windows31j ms932 cp932",
    "iso-2022-jp": "iso2022jp csiso2022jp iso2022jp1 iso2022jp2 iso2022jp3 iso2022jpms cp50220 cp50221 jis",
    "euc_jp": "eucjp xeucjp cseucpkdfmtjapanese ujis",
    "cp949": "ksc56011987 ksc5601 ksc56011989 euckr cseuckr korean isoir149 windows949 cp949 uhc",
    "koi8-r": "koi8r koi koi8 cskoi8r",
    "koi8-u": "koi8u koi8ru",
    "cp1251": "win1251 ansi1251 xcp1251",
    "mac_roman": "macintosh mac xmacroman macroman csmacintosh",
    "mac_cyrillic": "xmaccyrillic maccyrillic xmacukrainian",
    "mac_turkish": "xmacturkish macturkish",
    "cp866": "ibm866 866 csibm866 dos866",
    "": "none unknown xunknown unknown8bit xunknown8bit xuserdefined default binary 8bit 7bit null nil charset",
}
_CODECS = {label: name for name, labels in _GROUPS.items() for label in labels.split()}
_TEXT_CODECS = frozenset(set(aliases.values()) | {"cp65001"}) - {"mbcs", "tactis", "rot_13", "oem"}
_WIDE = frozenset({"utf-16-le", "utf-16-be", "utf-7", "iso-2022-jp", "hz"})  # ASCII bytes are no ASCII text there
_LATIN = frozenset({"cp1252", "cp1254"})
_CYRILLIC = ("cp1251", "koi8-r")
_MULTIBYTE = frozenset({"utf-8", "gb18030", "big5hkscs", "cp932", "euc_jp", "cp949"}) | _WIDE
# What unlabelled mail is written in. For short texts the detector also names charsets that only consoles ever had.
_LIKELY = ("cp125", "iso8859_", "koi8", "cp866", "cp874", "cp932", "cp949", "gb18030", "big5", "euc", "utf", "hz")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

_NOT_LABEL = re.compile(r"[^a-z0-9]")
_UNCLEAN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ud800-\udfff]")
_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_TAG = re.compile(rb"<[^<>]{0,2000}>")


def clean(text: str) -> str:
    """Return `text` with line breaks as `\\n` and without control characters, NUL, and lone surrogates."""
    if not _UNCLEAN.search(text) and "\u2028" not in text and "\u2029" not in text:
        return text
    return _UNCLEAN.sub("", _BREAKS.sub("\n", text))


@lru_cache(maxsize=512)
def codec(label: str) -> str:
    """Name the Python codec that a charset label means, "" for none: unknown, or one that holds no text."""
    key = _NOT_LABEL.sub("", label[:80].lower())
    if key in _CODECS:
        return _CODECS[key]
    if found := re.fullmatch(r"x?(?:windows|cp|win|ms|ibm|dos)(\d{3,5})", key):
        return _known(f"cp{found[1]}")
    if found := re.fullmatch(r"x?iso8859(\d{1,2})[ei]?", key):
        return _known(f"iso8859_{found[1]}")
    return _known(label[:80].strip().lower().replace("-", "_").replace(" ", "_"))


def _known(name: str) -> str:
    name = aliases.get(name, name)
    if name not in _TEXT_CODECS or name.endswith("_codec"):  # zlib, bz2 and their like would unpack bombs
        return ""
    return {"latin_1": "cp1252", "iso8859_9": "cp1254", "utf_8": "utf-8", "koi8_r": "koi8-r"}.get(name, name)


# --- decoding


def decode(data: bytes, label: str = "", *, turkish: bool = False) -> str:
    """Decode `data` by the best evidence; `turkish` says that its writer is likely to write Turkish."""
    return clean(repaired(_decoded(data, codec(label), turkish), turkish=turkish))


def _decoded(data: bytes, name: str, turkish: bool) -> str:
    if data.isascii() and name not in _WIDE and b"\x1b$" not in data:
        return data.decode("ascii")
    for mark, marked in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(marked, "replace")
    if b"\x1b$" in data and data.isascii():
        return _japanese(data)
    if name == "ascii":
        return _strict(data, "utf-8") or _mostly(data, "utf-8") or _guessed(data, "cp1252", turkish)
    if not name:
        return _strict(data, "utf-8") or _guessed(data, "", turkish)
    if name not in _MULTIBYTE and (text := _strict(data, "utf-8")) and _is_surely_utf8(text, name):
        return text
    if text := _strict(data, name):
        return _doubted(data, text, name, turkish)
    return _mostly(data, name) or _strict(data, "utf-8") or _guessed(data, name, turkish)


def _strict(data: bytes, name: str) -> str:
    try:
        return data.decode(name)
    except (UnicodeError, LookupError, ValueError):
        return ""


def _is_surely_utf8(text: str, name: str) -> bool:
    """Nobody writes two letters by chance that are valid UTF-8; in Western charsets not even one."""
    return name in _LATIN or sum(1 for letter in text[:2000] if letter > "\x7f") > 1


def _mostly(data: bytes, name: str) -> str:
    """What a multibyte charset gives when nearly all of it is valid: cut off in a character, one byte lost."""
    if name not in _MULTIBYTE:
        return ""
    text = _japanese(data) if name == "iso-2022-jp" else data.decode(name, "replace")
    bad = text.count("\ufffd")
    good = sum(1 for letter in text[:DETECTED] if letter > "\x7f") - bad
    return text if (bad <= 2 and good >= 4 * bad) or bad * 10 <= good else ""


def _guessed(data: bytes, name: str, turkish: bool) -> str:
    """Ask the detector; at last take what was declared, with replacement characters."""
    found = _detect(data)
    if turkish and found in {"", "cp1252", "iso8859_15", "cp1250"}:
        found = "cp1254"
    for guess in (found, name or "cp1252"):
        if guess and (text := _strict(data, guess)):
            return _cyrillic(data, text, guess)
    return data.decode(found or name or "cp1252", "replace")


def _detect(data: bytes) -> str:
    sample = _TAG.sub(b" ", data[:DETECTED])
    try:
        answer = chardet.detect(sample).get("encoding")
    except (ValueError, LookupError, UnicodeError, ArithmeticError, IndexError, KeyError):
        return ""  # its models are tables: an odd text must not cost the mail
    found = codec(answer) if isinstance(answer, str) else ""
    return found if found.startswith(_LIKELY) else ""


def _japanese(data: bytes) -> str:
    """ISO-2022-JP with the vendor characters (①, ㈱, half-width kana) that Python's codec refuses."""
    if text := _strict(data, "iso2022_jp_ext"):
        return text
    parts = re.split(rb"(\x1b\$\(D|\x1b\$[@B]|\x1b\([BJI])", data)
    texts = [parts[0].decode("ascii", "replace")]
    for mark, part in zip(parts[1::2], parts[2::2], strict=True):
        if mark in (b"\x1b$B", b"\x1b$@"):
            texts.append(bytes(_shifted(part)).decode("cp932", "replace"))
        elif mark == b"\x1b(I":
            texts.append(bytes(byte | 0x80 for byte in part).decode("cp932", "replace"))
        elif mark == b"\x1b$(D":
            texts.append((mark + part).decode("iso2022_jp_ext", "replace"))
        else:
            texts.append(part.decode("ascii", "replace"))
    return "".join(texts)


def _shifted(part: bytes) -> Iterator[int]:
    """JIS X 0208 pairs as Shift_JIS, by the arithmetic that relates the two."""
    at = 0
    while at < len(part):
        row = part[at]
        if row < 0x21 or row > 0x7E or at + 1 >= len(part):  # a line break inside, or half a character
            yield row & 0x7F
            at += 1
            continue
        cell = part[at + 1]
        yield (row + 1) // 2 + (0x70 if row < 0x5F else 0xB0)
        yield (cell + 0x1F + (cell >= 0x60) if row % 2 else cell + 0x7E) & 0xFF
        at += 2


# --- repairs

_ICELANDIC = str.maketrans("ðþýÐÞÝ", "ğşıĞŞİ")
_SIGNS = re.compile("[ðþýÐÞÝ]")
_NOT_TURKISH = re.compile("[æáéíóúÆÁÉÍÓÚøåØÅ]")
_TURKISH_WORDS = frozenset(
    re.findall(
        r"\S+",
        """ve bir bu şu için ile çok daha ama ben biz siz sen bana benim size sizin nasıl neden nerede hala hâlâ
        değil var yok kadar gibi sonra önce olarak olan oldu ise mi mı mu mü da de iade kargo sipariş siparişim
        siparişimi siparişi ürün ürünü fatura adres adet numara numarası merhaba selam sayın iyi günler lütfen
        teşekkür teşekkürler ederim saygılar saygılarımla istiyorum gelmedi geldi aldım almadım yardım hakkında
        henüz bugün yarın fiyat ödeme değişim beden renk kırık yanlış hatalı bilgi müşteri satış sayfa yazılım
        ilgili tarih tarihinde""",
    )
)


def repaired(text: str, *, turkish: bool = False) -> str:
    """Undo windows-1254 that was read as Western: `Sipariþ` becomes `Sipariş`. Icelandic stays as it is."""
    signs = len(_SIGNS.findall(text, 0, DETECTED))
    if not signs or _NOT_TURKISH.search(text, 0, DETECTED):
        return text
    mended = text.translate(_ICELANDIC)
    words = re.findall(r"\w+", mended[:4000].replace("I", "ı").replace("İ", "i").lower())
    known = sum(1 for word in words if word in _TURKISH_WORDS)
    within = any(word in _TURKISH_WORDS and re.search("[ğşı]", word) for word in words)
    ends = re.search(r"\w[þÞ](?!\w)", text)  # in Icelandic þ begins a syllable; in Turkish ş ends many words
    if turkish or within or ends or known >= 2 or (signs >= 2 and known):
        return mended
    return text


# The most frequent letters of Russian, Ukrainian, Bulgarian and Serbian: two thirds of any text in them.
_FREQUENT = frozenset("оеаинтсрвлкмдпуі")
_RARE = frozenset("ъющцэфѓђќѕ")


def _cyrillic(data: bytes, text: str, name: str) -> str:
    """Russian in one of its two old charsets and labelled as the other reads as words of rare letters, odd in case."""
    if name not in _CYRILLIC:
        return text
    other = _strict(data, _CYRILLIC[name == _CYRILLIC[0]])
    return other if other and _russian(other) > _russian(text) + 0.2 else text


def _russian(text: str) -> float:
    letters = [letter for letter in text[:4000] if "Ѐ" <= letter <= "ӿ"]
    if len(letters) < 3:
        return 0.0
    inverted = len(re.findall(r"\b[а-яё][А-ЯЁ]{2,}\b", text[:4000]))
    frequent = sum(1 for letter in letters if letter.lower() in _FREQUENT)
    rare = sum(1 for letter in letters if letter.lower() in _RARE)
    return (frequent - rare - 3 * inverted) / len(letters)


def _doubted(data: bytes, text: str, name: str, turkish: bool) -> str:
    """A Western label on text in which nearly every letter is accented: `Çàêàç` is Russian, `¶©µ¥` Chinese."""
    if name not in _LATIN:
        return _cyrillic(data, text, name)
    sample = _TAG.sub(b" ", data[:DETECTED])
    high = sum(1 for byte in sample if byte >= 0xA0)
    plain = sum(1 for byte in sample if 0x61 <= byte | 0x20 <= 0x7A)
    if high < 4 or high <= plain:
        return text
    found = _detect(data)
    return _guessed(data, name, turkish) if found and found not in _LATIN else text
