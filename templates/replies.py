"""Reply texts by language (acknowledgements, canned replies): checked when loaded, filled when sent.

Rule: an unfilled variable never reaches a customer, and a value is never read as a template. Our texts are the files in
`templates/replies/`, one a language; a shop's own folder adds to them. `docs/templates.md` says how to write them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from templates.checking import files_of, missing, read_replies, same_titles, shipped
from templates.filling import fill
from templates.reply import (
    LAST_RESORT,
    SURE,
    VARIABLES,
    BadReplies,
    Choice,
    Limit,
    Rendered,
    Reply,
    Texts,
    Unfilled,
    base,
    normal,
)
from templates.values import clean, fits_segment, isolated


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """Every reply in every language. Made by `load`; it never changes, so a reload that fails leaves it in force."""

    shop: str
    first: str
    texts: Texts = field(repr=False)
    ours: Texts = field(repr=False)  # the same without the shop's own

    @classmethod
    def load(
        cls,
        languages: Sequence[str],
        folder: Path | None = None,
        *,
        shop: str,
        limits: Mapping[str, Limit] | None = None,
        tags: Collection[str] | None = None,
    ) -> Replies:
        """Read the texts that ship with Santral and the shop's own in `folder`, which win.

        `languages` are the shop's; the first is what others fall back to. `limits` are what its channels take, by the
        channel's name: a text of the shop has to fit each of them, in full or as `short`. `tags` are all there are;
        None leaves those of the shop's texts unchecked. Raises `BadReplies`.
        """
        first = normal(languages[0]) if languages else LAST_RESORT
        ours = shipped()
        if folder is None:
            return cls(shop=shop, first=first, texts=ours, ours=ours)
        sources, problems = files_of(folder)
        own = {}
        for language, source in sources.items():
            own[language], found = read_replies(source, language, limits or {}, tags)
            problems += found
        texts = {language: _over(own.get(language, {}), ours.get(language, {})) for language in {**own, **ours}}
        problems += missing(sources, own, texts, first)
        problems += (problem for language in own for problem in same_titles(sources[language], own, texts[language]))
        if problems:
            raise BadReplies(problems)
        return cls(shop=shop, first=first, texts=texts, ours=ours)

    def names(self, tags: Iterable[str] = (), language: str = "") -> tuple[Choice, ...]:
        """List what an agent can pick, in titles of the language; replies for the first tag first, then the next."""
        ranks = {tag: rank for rank, tag in reversed(list(enumerate(tags)))}
        found: dict[str, Reply] = {}
        for spoken in self._order(language):
            found = _over(found, self.texts.get(spoken, {}))
        picked = sorted(
            (reply for name, reply in found.items() if name not in SURE),
            key=lambda reply: min((ranks[tag] for tag in reply.tags if tag in ranks), default=len(ranks)),
        )
        return tuple(Choice(name=reply.name, title=reply.title) for reply in picked)

    def language(self, name: str, language: str) -> str:
        """The language a reply will be in: the one to put `opening` and `wait` into words of. Raises `KeyError`."""
        return self._find(name, language, self.texts).language

    def render(self, name: str, language: str, values: Mapping[str, str], *, short: bool = False) -> Rendered:
        """Fill a reply, the short form if wanted and there is one.

        Values are cleaned; an empty one counts as unknown, the shop's name is known. Raises `KeyError` for an unknown
        name, `Unfilled` for a variable that is used and not known, `ValueError` for a value that is no variable.
        """
        reply = self._find(name, language, self.texts)
        return self._rendered(reply, (short and reply.short) or reply.text, values)

    def acknowledgement(
        self, kind: str, language: str, values: Mapping[str, str], *, segment: bool = False
    ) -> Rendered:
        """Fill the acknowledgement for `"closed"` or `"busy"`, the words of `routing.acknowledge.Kind`.

        With `segment` it fits one SMS segment: the customer's and the shop's name are left out if need be, then shorter
        texts are taken, in the end ours without a moment. Raises as `render` does.
        """
        name = f"acknowledge-{kind}"
        reply, ours = self._find(name, language, self.texts), self._find(name, language, self.ours)
        if not segment:
            return self._rendered(reply, reply.text, values)
        for candidate in (reply, ours) if ours != reply else (reply,):
            for text in dict.fromkeys((candidate.short or candidate.text, candidate.shorter or candidate.text)):
                for left_out in ((), ("customer",), ("customer", "shop")):
                    try:
                        made = self._rendered(candidate, text, values, left_out)
                    except Unfilled:
                        if not left_out:
                            raise
                        continue  # a text of the shop that cannot do without its name
                    if fits_segment(made.text):
                        return made
        return self._rendered(ours, ours.shorter, {}, tuple(VARIABLES))

    def _rendered(self, reply: Reply, text: str, values: Mapping[str, str], left_out: Sequence[str] = ()) -> Rendered:
        given = {name: clean(name, value) for name, value in values.items()}
        given["shop"] = given.get("shop") or clean("shop", self.shop)
        known = {name: isolated(value, reply.language) for name, value in given.items() if name not in left_out}
        (made, missing), (subject, also) = (fill(written, reply.language, known) for written in (text, reply.subject))
        if missing or also:
            raise Unfilled(missing | also)
        return Rendered(text=made, subject=" ".join(subject.split()), language=reply.language)

    def _find(self, name: str, language: str, texts: Texts) -> Reply:
        for spoken in self._order(language):
            if found := texts.get(spoken, {}).get(name):
                return found
        raise KeyError(name)

    def _order(self, language: str) -> Iterator[str]:
        for spoken in (normal(language), self.first, LAST_RESORT):
            yield from (spoken, base(spoken))


def _over(first: Mapping[str, Reply], second: Mapping[str, Reply]) -> dict[str, Reply]:
    """Both, where the first wins and comes first."""
    return {**first, **second, **first}
