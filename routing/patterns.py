"""Phrases as a person writes them into a file, and the forms of their words that a customer may type.

A phrase is words in their order. A word of four letters or more takes the endings of its language, a shorter one
stands as it is. What else a phrase may say:

    word*      any ending           *word      inside a compound, with its endings
    =word      exactly this form    (a|b c|d)  one of these; with a `?` behind it, or none
    {name}     one of the words of that class, from the `[words]` of the same file
    ..         up to four words of the same sentence      ...  up to twelve words
    &          both sides, in either order, at most twelve words apart
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from routing.folding import fold, is_word, squeeze, tokens

NEXT, NEAR, FAR = 1, 5, 13  # words from one element to the next: side by side, `..`, `...` and `&`
_GAPS = {"..": NEAR, "...": FAR, "&": FAR}
_SHORT = 4  # a shorter word with endings would be half the dictionary
_MOST_VARIANTS = 2_000  # of one phrase; more is a slip of its writer

_OPENS = ("", "(", "|")  # what no gap stands behind; "" is the edge of a phrase
_ENDS = ("", ")", ")?", "|")
_SIGNS = frozenset((*_GAPS, *_OPENS, *_ENDS))
_JOINERS = "\u200c\u200d"  # Persian words and many emoji are held together by these

_CLASS = re.compile(r"\{([\w-]+)\}")
_MARK = re.compile(r"\.{2,3}|&|\(|\)\??|\||[^\s()|]+")

# What may stand behind a stem, per language, in folded and squeezed letters.
_ENDINGS = {
    "tr": r"(?:l[ae]r|[iu](?:m|n)(?:[iu]z)?|[mn]|[iu]|s[iu]|n?[iu]n|[ny]?[iua]|[ny]?e|[nd]?[dt][ae]n?|y?l[ae]|c?[ae]|"
    r"k[iu]|[dt][iu]r?|y?m[iu]s|y?s[ae]|y?ken){0,5}",
    "ru": r"[а-яa-z]{0,3}",
    "en": r"(?:e|s|es|ed|d|r|er|ers|ing|ings|ly|y|ies|ied)?",
    "de": r"(?:e|en|em|er|es|s|n|ns|st|t|et|te|ten|tem|ter|tes|in|inen|ung|ungen|lich)?",
    "ar": r"(?:ها|هم|ه|ي|ني|ك|كم|كو|نا|ات|ين|ون|وا|و|ا|ت|تي|تو|تها|ته|تكم|تنا|لي|لكم|ش|هاش)?",
}
_ANY_LANGUAGE = r"\w{0,3}"
_CLITICS = re.compile(r"(?:و|ف)?(?:ب|ل|ك|س|ح|ه|ع)?(?:ال|ل)?\Z")
_LATIN = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "zh j", "з": "z", "и": "i", "й": "y i j", "к": "k",
    "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "h kh x",
    "ц": "c ts", "ч": "ch", "ш": "sh", "щ": "sch shch", "ъ": "", "ы": "y i", "ь": "", "э": "e", "ю": "yu u ju",
    "я": "ya ia ja",
}  # fmt: skip
_MOST_SPELLINGS = 12
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "ae", "Ö": "oe", "Ü": "ue"})


@dataclass(frozen=True, slots=True)
class Form:
    """One way a word may be typed: what to look for, and what may stand before and behind it in its word."""

    stem: str
    before: str = ""  # "": nothing; "*": anything; "clitics": what Arabic writes together
    behind: str = ""  # "": nothing; "*": anything; else a language


@dataclass(frozen=True, slots=True)
class Element:
    """One place of a phrase: any of its forms, at most `reach` words behind the place before it."""

    forms: frozenset[Form]
    reach: int = NEXT
    either_side: bool = False


class PhraseError(ValueError):
    """A phrase cannot be read."""


def written(phrase: str, language: str, words: Mapping[str, str]) -> list[tuple[Element, ...]]:
    """All variants of a phrase. `words` are the classes of its file.

    Raises PhraseError, with what is wrong, for a class that is not there or a phrase without words.
    """
    variants = [_elements(parts, language) for parts in _variants(_parsed(phrase, words))]
    found = [variant for variant in variants if variant]
    if not found:
        raise PhraseError(f"{phrase!r} has no words")
    return found


def checked(phrase: str, language: str) -> None:
    """Look hard at a phrase that a person wrote, who is there to mend it.

    Raises PhraseError as `written` does, and for a sign in it that can do nothing: it would be thought to do something.
    """
    written(phrase, language, {})
    marks = _marks(phrase, {})[::-1]
    for mark in marks:
        if mark not in _SIGNS and (wrong := _no_word(mark)):
            raise PhraseError(f"{phrase!r} has {mark!r}, {wrong}")
    for before, mark, behind in zip(["", *marks], marks, [*marks[1:], ""], strict=False):
        if mark in _GAPS and (before in _OPENS or before in _GAPS or behind in _ENDS or behind in _GAPS):
            raise PhraseError(f"{phrase!r} has {mark!r} without a word on both sides")
        if mark in _ENDS and before in _OPENS:
            raise PhraseError(f"{phrase!r} has an alternative without words")
    if not all(_elements(parts, language) for parts in _variants(_parsed(phrase, {}))):
        raise PhraseError(f"everything in {phrase!r} may be left out")


def _no_word(mark: str) -> str:
    """Why no message can have what stands for a word; "" when one can."""
    bare = mark.removeprefix("=").removeprefix("*").removesuffix("*")
    if not all(sign.isprintable() or sign in _JOINERS for sign in bare):
        return "in which there is a sign that nobody sees"
    if any(sign in bare for sign in "*=?{}") or ".." in bare:
        return "where * and = stand at the edge of a word, ? behind a bracket, and .. between spaces"
    return "" if any(map(is_word, tokens(squeeze(fold(bare))))) else "which is no word"


def fits(form: Form, before: str, behind: str) -> bool:
    """Whether a word that is `before`, the stem, `behind` is a form of the word meant."""
    if form.before == "clitics" and not (len(before) <= 5 and _CLITICS.match(before)):
        return False
    if not form.before and before:
        return False
    return form.behind == "*" or not behind or (form.behind != "" and _is_ending(form.behind, behind))


@lru_cache(maxsize=20_000)
def _is_ending(language: str, behind: str) -> bool:
    return re.fullmatch(_ENDINGS.get(language, _ANY_LANGUAGE), behind) is not None


@dataclass(frozen=True, slots=True)
class _Part:
    choices: tuple[tuple[str, ...], ...]  # each one or more words; () for left out
    reach: int
    either_side: bool


def _parsed(phrase: str, words: Mapping[str, str]) -> list[_Part]:
    parts: list[_Part] = []
    reach, either_side = NEXT, False
    marks = _marks(phrase, words)
    while marks:
        if marks[-1] in _GAPS:
            mark = marks.pop()
            reach, either_side = _GAPS[mark], mark == "&"
            continue
        parts.append(_Part(choices=_choices(marks, phrase), reach=reach, either_side=either_side))
        reach, either_side = NEXT, False
    return parts


def _marks(phrase: str, words: Mapping[str, str]) -> list[str]:
    """The words and signs of a phrase, the first one last, classes written out."""

    def class_of(match: re.Match[str]) -> str:
        if match[1] not in words:
            raise PhraseError(f"{phrase!r} names the class {match[1]!r}, which is not in [words]")
        return f"({words[match[1]]})"

    return _MARK.findall(_CLASS.sub(class_of, phrase))[::-1]


def _choices(marks: list[str], phrase: str) -> tuple[tuple[str, ...], ...]:
    """Take one word or one group off the `marks`: what it may be."""
    mark = marks.pop()
    if mark not in ("(", ")", ")?", "|"):
        return ((mark,),)
    if mark != "(":
        raise PhraseError(f"{phrase!r} has a {mark!r} without what opens it")
    found: list[tuple[str, ...]] = []
    lines: list[tuple[str, ...]] = [()]
    while True:
        if not marks:
            raise PhraseError(f"{phrase!r} has a '(' that nothing closes")
        if marks[-1] in ("|", ")", ")?"):
            found += [line for line in lines if line]
            lines = [()]
            closing = marks.pop()
            if closing != "|":
                return tuple(dict.fromkeys((*found, ()) if closing == ")?" else found))
            continue
        choices = _choices(marks, phrase)
        lines = [line + choice for line in lines for choice in choices]


def _variants(parts: list[_Part]) -> Iterator[list[tuple[tuple[str, ...], int, bool]]]:
    """Single words stay together as one place; several words, and none, make a variant of the phrase each."""
    options: list[list[list[tuple[tuple[str, ...], int]]]] = []
    for part in parts:
        single = tuple(choice[0] for choice in part.choices if len(choice) == 1)
        option = [[(single, NEXT)]] if single else []
        options.append(option + [_spaced(choice) for choice in part.choices if len(choice) != 1])
    count = 0
    for chosen in itertools.product(*options):
        count += 1
        if count > _MOST_VARIANTS:
            raise PhraseError("it has more than 2,000 variants; write fewer alternatives of several words")
        line: list[tuple[tuple[str, ...], int, bool]] = []
        wider, side = NEXT, False  # what stood before a part that is left out goes to the next one
        for part, places in zip(parts, chosen, strict=True):
            if not places:
                wider, side = max(wider, part.reach), side or part.either_side
                continue
            line.append((places[0][0], max(wider, part.reach), side or part.either_side))
            line += [(place, reach, False) for place, reach in places[1:]]
            wider, side = NEXT, False
        yield line


def _spaced(choice: tuple[str, ...]) -> list[tuple[tuple[str, ...], int]]:
    """Several words of a group, each with its reach."""
    found: list[tuple[tuple[str, ...], int]] = []
    reach = NEXT
    for word in choice:
        if word in _GAPS:
            reach = _GAPS[word]
        else:
            found.append(((word,), reach))
            reach = NEXT
    return found


def _elements(line: list[tuple[tuple[str, ...], int, bool]], language: str) -> tuple[Element, ...]:
    found: list[Element] = []
    for words, reach, either_side in line:
        split = tokens(squeeze(fold(words[0].strip("*=")))) if len(words) == 1 else []
        if len(split) > 1:  # "e-mail" is two words in every text
            for number, token in enumerate(one for one in split if is_word(one)):
                forms = _any_of(("=" + token,), language)
                found.append(Element(forms, reach if number == 0 else NEXT, either_side and number == 0))
            continue
        forms = _any_of(words, language)
        if forms:
            found.append(Element(forms, reach, either_side))
    return tuple(found)


@lru_cache(maxsize=20_000)
def _any_of(words: tuple[str, ...], language: str) -> frozenset[Form]:
    """All forms of any of the words; the same value for the same words, since phrases share their classes."""
    return frozenset(form for word in words for form in _forms(word, language))


@lru_cache(maxsize=50_000)
def _forms(word: str, language: str) -> tuple[Form, ...]:
    return tuple(_forms_of(word, language))


def _forms_of(word: str, language: str) -> Iterator[Form]:
    inside, exact, open_ended = word.startswith("*"), word.startswith("="), len(word) > 1 and word.endswith("*")
    bare = word.strip("*=")
    spellings = {bare} if language != "de" else {bare, bare.translate(_UMLAUTS)}
    for spelling in spellings:
        squeezed = squeeze(fold(spelling))
        if not squeezed:
            continue
        if exact:
            behind = ""
        elif open_ended:
            behind = "*"
        elif len(squeezed) >= _SHORT:
            behind = language or "any"
        else:
            behind = ""
        stem = _stem(squeezed, language) if behind not in ("", "*") else squeezed
        arabic = "\u0600" < squeezed[0] < "\u06ff"
        before = "*" if inside else "clitics" if arabic and not exact else ""
        yield Form(stem, before, behind)
        if language == "ru" and len(squeezed) >= _SHORT:
            yield from (Form(latin, before, behind) for latin in _transliterated(stem) if len(latin) > _SHORT)


def _stem(word: str, language: str) -> str:
    """What all forms of a word begin with: Russian and English change its last letter, Arabic ة becomes ت."""
    if language == "ru" and len(word) > _SHORT and word[-1] in "аеиоуыэюяьй":
        return word[:-1].rstrip("аеиоуыя") if len(word) > 6 else word[:-1]
    if language == "en" and len(word) > _SHORT + 1 and word[-1] in "ey":
        return word[:-1]
    if language == "ar" and len(word) > 3 and word[-1] == "ه":
        return word[:-1]
    return word


def _transliterated(stem: str) -> list[str]:
    if any(char not in _LATIN for char in stem):
        return []
    spellings = itertools.product(*(_LATIN[char].split(" ") for char in stem))
    return list(dict.fromkeys(squeeze("".join(letters)) for letters in itertools.islice(spellings, _MOST_SPELLINGS)))
