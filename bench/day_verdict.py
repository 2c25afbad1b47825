"""What became of a day, judged from both sides: what customers wrote against what stands in Slack, and back. Pure.

Rule: order is judged only where it can be known: a message stands out of order when one written later, and after this
one had been taken, stands above it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.day_script import EDITED, mark


@dataclass(slots=True, kw_only=True)
class Wrote:
    """A message as its customer wrote it. Times are seconds since 1970, 0 while unknown."""

    customer: int
    number: int
    kind: str
    at: float
    taken: float = 0.0  # when we first said that we have it
    late: bool = False
    changed: str = ""  # edit, unsend
    has_text: bool = True
    has_file: bool = False
    marked: bool = True

    @property
    def mark(self) -> str:
        return mark(self.customer, self.number)


@dataclass(slots=True, kw_only=True)
class Answered:
    """What an agent wrote. `kinds` are the channels it may have gone by; none where it must not arrive."""

    customer: int
    mark: str
    kinds: frozenset[str]
    at: float = 0.0
    told: bool = True  # whether the agent was told what became of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A Slack thread: the marks of customers' texts from top to bottom, of files, and how many are said to be lost.

    `quoted` are those that only stand in what the desk tells of an earlier message: that it was changed or taken back.
    """

    ts: str
    marks: tuple[str, ...]
    quoted: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    lost: int = 0
    stored: int | None = None  # how many messages the database holds of this conversation; None where nobody asked


@dataclass(slots=True)
class Verdict:
    """What is wrong, by its name; each with the marks it is about."""

    wrong: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, *about: str) -> None:
        self.wrong.setdefault(what, []).extend(about)

    def count(self, what: str) -> int:
        return len(self.wrong.get(what, ()))


LOST, DOUBLED, MISPLACED, DISORDERED, MISCOUNTED = "lost", "doubled", "misplaced", "out of order", "stored otherwise"
FILES, ANSWERS_LOST, ANSWERS_DOUBLED, ASTRAY = (
    "files lost silently",
    "answers lost",
    "answers doubled",
    "answers astray",
)
UNTOLD = "refusals not told"
NAMES = (LOST, DOUBLED, MISPLACED, DISORDERED, MISCOUNTED, FILES, ANSWERS_LOST, ANSWERS_DOUBLED, ASTRAY, UNTOLD)


def judge(
    wrote: Sequence[Wrote],
    answers: Sequence[Answered],
    threads: Sequence[Shown],
    heard: Mapping[tuple[int, str], Iterable[str]],
    echoed: Iterable[str] = (),
) -> Verdict:
    """Compare. `heard` is what each customer's phone shows from the shop, by channel; `echoed` was sent elsewhere."""
    verdict = Verdict()
    homes = _homes(wrote, threads)
    _messages(verdict, wrote, threads, homes)
    for customer in {one.customer for one in wrote}:
        own = [one for one in wrote if one.customer == customer]
        thread = homes.get(customer)
        if thread is None:
            continue
        _order(verdict, own, thread)
        gone = [one.mark for one in own if one.has_file and one.changed != "unsend" and one.mark not in thread.files]
        if len(gone) > thread.lost:
            verdict.add(FILES, *gone)
        # A word that ends what is sent to them is no message where the provider hears it first.
        if thread.stored is not None and not sum(one.marked for one in own) <= thread.stored <= len(own):
            verdict.add(MISCOUNTED, f"customer {customer}: {thread.stored} stored, {len(own)} written")
    shown = Counter(found for thread in threads for found in thread.marks)
    for found in echoed:
        if shown[found] != 1:
            verdict.add(DOUBLED if shown[found] else LOST, found)
    _answers(verdict, answers, heard)
    return verdict


def _homes(wrote: Sequence[Wrote], threads: Sequence[Shown]) -> dict[int, Shown]:
    """The thread in which most of a customer's messages stand."""
    owner = {one.mark: one.customer for one in wrote}
    votes: dict[int, Counter[str]] = {}
    for thread in threads:
        for found in (*thread.marks, *thread.files):
            if found in owner:
                votes.setdefault(owner[found], Counter())[thread.ts] += 1
    by_ts = {thread.ts: thread for thread in threads}
    return {customer: by_ts[counted.most_common(1)[0][0]] for customer, counted in votes.items()}


def _messages(verdict: Verdict, wrote: Sequence[Wrote], threads: Sequence[Shown], homes: Mapping[int, Shown]) -> None:
    shown = Counter(found for thread in threads for found in thread.marks)
    quoted = Counter(found for thread in threads for found in thread.quoted)
    filed = Counter(found for thread in threads for found in thread.files)
    places = {found: thread.ts for thread in threads for found in (*thread.quoted, *thread.marks, *thread.files)}
    taken: dict[str, int] = {}
    for customer, home in sorted(homes.items()):
        if home.ts in taken:
            verdict.add(MISPLACED, f"customers {taken[home.ts]} and {customer} share a thread")
        taken[home.ts] = customer
    for one in wrote:
        if not one.marked:
            continue
        after = mark(one.customer, one.number + EDITED) if one.changed == "edit" else one.mark
        times = shown[after] if one.has_text else filed[one.mark]
        if one.changed == "edit":  # of a message that stood there already, the thread says what it says now
            times = times or min(1, quoted[after])
        if times > 1 or filed[one.mark] > 1:
            verdict.add(DOUBLED, one.mark)
        # What was taken back may be gone altogether, and a file without words is looked for by `_files`.
        if not times and one.has_text and one.changed != "unsend":
            verdict.add(LOST, one.mark)
        if one.changed == "edit" and shown[one.mark] > 1:
            verdict.add(DOUBLED, one.mark)
        own = homes.get(one.customer)
        if own is not None and places.get(after, own.ts) != own.ts:
            verdict.add(MISPLACED, one.mark)


def _order(verdict: Verdict, own: Sequence[Wrote], thread: Shown) -> None:
    """What was taken before something else was even written must not stand below it."""
    known = {one.mark: one for one in own if one.has_text and not one.changed}
    standing = [known[found] for found in thread.marks if found in known]
    latest: Wrote | None = None
    for one in standing:
        if latest is not None and one.taken and one.at < latest.at and one.taken < latest.at:
            verdict.add(DISORDERED, one.mark)
        if latest is None or one.at > latest.at:
            latest = one


def _answers(verdict: Verdict, answers: Sequence[Answered], heard: Mapping[tuple[int, str], Iterable[str]]) -> None:
    arrived: dict[str, list[tuple[int, str]]] = {}
    for place, marks in heard.items():
        for found in marks:
            arrived.setdefault(found, []).append(place)
    for answer in answers:
        places = arrived.get(answer.mark, [])
        right = [place for place in places if place[0] == answer.customer and place[1] in answer.kinds]
        if len(right) < len(places):
            went = ", ".join(f"{kind} of {customer}" for customer, kind in places)
            verdict.add(ASTRAY, f"{answer.mark} ({went}; wanted {', '.join(sorted(answer.kinds)) or 'nowhere'})")
        if len(right) > 1:
            verdict.add(ANSWERS_DOUBLED, answer.mark)
        if answer.kinds and not places:
            verdict.add(ANSWERS_LOST, answer.mark)
        if not answer.kinds and not answer.told:
            verdict.add(UNTOLD, answer.mark)
