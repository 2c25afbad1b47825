"""The texts people read, by language: flat keys such as `card.waiting`, one TOML file a language in `templates/texts/`.

Rule: placeholders are plain names (`{customer}`), never formats or attributes; values are the caller's to make safe.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from string import Formatter
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.numbers import format_decimal

LAST_RESORT = "en"
_UNITS = (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Every text in every language. A language that is missing falls back to the shop's first, then to English."""

    texts: Mapping[str, Mapping[str, str]]  # language to key to text
    first: str = LAST_RESORT

    @classmethod
    def load(cls, first: str = LAST_RESORT) -> Catalog:
        """Read the texts that ship with Santral. `first` is the shop's first language."""
        folder = files("templates").joinpath("texts")
        found = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
        texts = {
            file.name.removesuffix(".toml"): dict(_flat(tomllib.loads(file.read_text(encoding="utf-8"))))
            for file in found
        }
        return cls(texts=texts, first=first)

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.texts)

    def template(self, key: str, lang: str) -> str:
        """The text with its placeholders in place. Raises `KeyError` for a key no language has."""
        for language in self._order(lang):
            found = self.texts.get(language, {}).get(key)
            if found:
                return found
        raise KeyError(key)

    def text(self, key: str, lang: str, **values: object) -> str:
        return self.template(key, lang).format_map(values)

    def word(self, group: str, name: str, lang: str) -> str:
        """The word for one of a closed set, such as a state or a kind of channel; the name itself when it is new."""
        try:
            return self.template(f"{group}.{name}", lang)
        except KeyError:
            return name

    def voice(self, lang: str) -> Voice:
        """Speak one language: what the builders of cards and notices take."""
        return Voice(catalog=self, lang=lang)

    def check(self) -> tuple[str, ...]:
        """Say what is wrong with the texts, a line each: a missing key, an empty text, a placeholder that differs."""
        reference = self.texts.get(LAST_RESORT, {})
        problems = [] if reference else [f"{LAST_RESORT}.toml is missing"]
        for language, texts in self.texts.items():
            problems += [f"{language}.toml has no {key}" for key in sorted(reference.keys() - texts.keys())]
            problems += [f"{language}.toml alone has {key}" for key in sorted(texts.keys() - reference.keys())]
            for key, text in texts.items():
                if not text.strip():
                    problems.append(f"{language}.toml: {key} is empty")
                    continue
                try:
                    here = placeholders(text)
                except ValueError as wrong:
                    problems.append(f"{language}.toml: {key}: {wrong}")
                    continue
                if key in reference and here != _known(reference[key]):
                    problems.append(f"{language}.toml: {key} does not have the placeholders of the English text")
        return tuple(problems)

    def _order(self, lang: str) -> Iterator[str]:
        for given in (lang, self.first, LAST_RESORT):
            wanted = given.replace("_", "-").lower()
            yield wanted
            yield wanted.partition("-")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """The catalogue in one language."""

    catalog: Catalog
    lang: str

    def __call__(self, key: str, **values: object) -> str:
        return self.catalog.text(key, self.lang, **values)

    def template(self, key: str) -> str:
        return self.catalog.template(key, self.lang)

    def word(self, group: str, name: str) -> str:
        return self.catalog.word(group, name, self.lang)

    def language(self, code: str) -> str:
        """The name of a language, such as "Türkçe" for `tr`, as readers of this language call it."""
        return _language(code, self._locale())

    def size(self, count: int) -> str:
        """A number of bytes as people say it: 1.4 MB."""
        for unit, factor in _UNITS:
            if count >= factor:
                return f"{format_decimal(round(count / factor, 1), locale=self._locale())} {unit}"
        return f"{max(count, 0)} B"

    def _locale(self) -> str:
        for language in (self.lang, self.catalog.first):
            base = language.replace("_", "-").partition("-")[0].lower()
            if base in self.catalog.texts:
                return base
        return LAST_RESORT


def placeholders(text: str) -> frozenset[str]:
    """The names a text asks for. Raises `ValueError` for anything but plain names."""
    names = set()
    for _, name, form, conversion in Formatter().parse(text):
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(f"{{{name}}} is not a plain name")
        names.add(name)
    return frozenset(names)


def _known(text: str) -> frozenset[str]:
    try:
        return placeholders(text)
    except ValueError:
        return frozenset()


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            yield prefix + key, value
        else:
            raise ValueError(f"{prefix}{key} is not a text")


@lru_cache(maxsize=512)
def _language(code: str, locale: str) -> str:
    try:
        name = Locale.parse(code.replace("-", "_")).get_language_name(locale)
    except (UnknownLocaleError, ValueError, TypeError):
        return code
    return name or code
