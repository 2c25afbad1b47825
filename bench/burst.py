"""The burst: 600 messages of 100 customers into one Slack channel that takes one post a second.

Rule: judged by what a reader of the Slack channel sees in the end, not by what Santral says of itself.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.load import SECRET_HEADER
from bench.program import PATH, SECRET, Phone, Program, santral
from bench.providers import Providers, mark, shown
from bench.rows import Row, at_most, held, told
from bench.updates import request, update

CUSTOMERS, EACH = 100, 6
FIRST = 5_200_000_000
PATIENCE = 300.0  # seconds after which what is not shown counts as not shown


async def burst(folder: Path, *, quick: bool) -> list[Row]:
    """All customers at once, each writing one message after the other. Takes two minutes, `quick` or not."""
    wanted = {mark(customer, number) for customer in range(CUSTOMERS) for number in range(EACH)}
    async with Providers.open(slack_limits=True) as providers:
        async with santral(folder, providers, "web,work,pull", posts_per_second=1) as program:
            await providers.connect(program.url, SECRET)
            begun = time.perf_counter()
            await asyncio.gather(*(_customer(program, number) for number in range(CUSTOMERS)))
            accepted = time.perf_counter() - begun
            complete = await providers.until(providers.posted, wanted, PATIENCE)
            latest = max(providers.posted.values(), default=begun) - begun
        threads = [[found for post in posts for found in shown(post)] for posts in providers.threads().values()]
        refused = providers.refused()
    seen = [found for thread in threads for found in thread]
    in_order = sum(_in_order(threads, customer) for customer in range(CUSTOMERS))
    posts = sum(1 for call in providers.slack.calls if call["method"] == "chat.postMessage" and call["status"] == 200)
    shown_all = at_most("until all are visible", latest, 130, "s", note=f"accepted in {accepted:.1f} s, {posts} posts")
    return [
        shown_all if complete else held("until all are visible", f"not in {PATIENCE:.0f} s", "≤ 130 s", False),
        held("messages shown", f"{len(wanted & set(seen))} of {len(wanted)}", "all", wanted <= set(seen)),
        held("… shown twice", f"{len(seen) - len(set(seen))}", "0", len(seen) == len(set(seen))),
        held("… customers in order, in one thread", f"{in_order} of {CUSTOMERS}", "all", in_order == CUSTOMERS),
        told("429 answers", ", ".join(f"{times} {method}" for method, times in refused.items()) or "none"),
    ]


async def _customer(program: Program, customer: int) -> None:
    async with Phone.open(program.port) as phone:
        for number in range(EACH):
            body = update(
                number=1 + customer * EACH + number,
                customer=FIRST + customer,
                text=f"Siparişim nerede? {mark(customer, number)}",
                sent_at=int(time.time()),
            )
            await phone.bring(request(path=PATH, port=program.port, headers={SECRET_HEADER: SECRET}, body=body))


def _in_order(threads: list[list[str]], customer: int) -> bool:
    wanted = [mark(customer, number) for number in range(EACH)]
    own = set(wanted)
    return any([found for found in thread if found in own] == wanted for thread in threads)
