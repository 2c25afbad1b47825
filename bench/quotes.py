"""How well and how fast quoted pasts are hidden: on the corpus of the tests, and on texts made to cost time."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from bench.rows import Row, at_most, held, told
from channels.mail.quotes.own import own_words
from channels.mail.quotes.page import own_words_html
from tests.mail import quote_corpus as corpus

WORST = 50  # ms: what a hostile text may cost a worker


async def quotes(folder: Path, *, quick: bool) -> list[Row]:
    """All lines of this part. Nothing of it needs `folder`."""
    generated, oddities = list(corpus.generated()), corpus.written("oddities")
    rows = [
        row
        for aside, name in ((False, ""), (True, ", kept aside"))
        for row in (
            _exact(f"quotes hidden exactly{name}", _chosen(generated, aside), note="languages × programs"),
            _exact(f"odd ways of quoting{name}", _chosen(oddities, aside)),
            _exact(f"traps left whole{name}", _chosen(corpus.written("traps"), aside), all_of_them=True),
            _exact(f"below, between, forwards{name}", _chosen(corpus.written("interleaved"), aside), all_of_them=True),
            _pages(f"HTML mails{name}", [page for page in corpus.pages() if page.aside is aside]),
        )
    ]
    mails = [*generated, *oddities]
    leaks = sum(_words(own_words(one.text, ours=one.ours).text) > _words(one.own) for one in mails)
    rows.append(told("mails with quoted words left in sight", f"{leaks} / {len(mails)}"))
    rounds = 2 if quick else 5
    times = [_best(partial(own_words, one.text, ours=one.ours), rounds) for one in mails]
    rows.append(told("a mail", f"{statistics.mean(times):.2f} ms", note=f"worst {max(times):.2f} ms"))
    rows.append(_worst("hostile text, worst", corpus.hostile(), rounds))
    html = [_best(partial(own_words_html, page.html, ours=corpus.OURS), rounds) for page in corpus.pages()]
    rows.append(told("an HTML mail", f"{statistics.mean(html):.2f} ms", note=f"worst {max(html):.2f} ms"))
    return rows


def figures() -> list[tuple[str, str]]:
    """The same as pairs of what was measured and its figure, for whoever wants no table."""
    return [(row.what, row.figure) for row in asyncio.run(quotes(Path(), quick=True))]


def _chosen(samples: Iterable[corpus.Sample], aside: bool) -> list[corpus.Sample]:
    return [sample for sample in samples if sample.aside is aside]


def _exact(what: str, samples: list[corpus.Sample], *, all_of_them: bool = False, note: str = "") -> Row:
    right = sum(_words(own_words(one.text, ours=one.ours).text) == _words(one.own) for one in samples)
    least = len(samples) if all_of_them else -(-len(samples) * 128 // 131)  # the share that issue 3 asks for
    return held(what, f"{right} / {len(samples)}", f"≥ {least}", right >= least, note=note)


def _pages(what: str, pages: list[corpus.Page]) -> Row:
    right = 0
    for page in pages:
        left, own = own_words_html(page.html, ours=corpus.OURS)
        shown = all(words in own.text and words in left for words in page.own)
        right += shown and not any(words in own.text or words in left for words in page.quoted)
    return held(what, f"{right} / {len(pages)}", f"≥ {len(pages)}", right == len(pages))


def _worst(what: str, texts: dict[str, str], rounds: int) -> Row:
    times = {name: _best(partial(own_words, text, ours=corpus.OURS), rounds) for name, text in texts.items()}
    worst = max(times, key=lambda name: times[name])
    return at_most(what, times[worst], WORST, note=f"{worst}; {len(texts)} texts up to a megabyte")


def _best(run: Callable[[], object], rounds: int) -> float:
    """Milliseconds of CPU of the quickest round: the rest is other programs."""
    found = []
    for _ in range(rounds):
        started = time.process_time()
        run()
        found.append((time.process_time() - started) * 1000)
    return min(found)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())
