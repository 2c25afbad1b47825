"""What a child process does with one mail. Apart from `process.py`, so that the parent loads none of the parsers."""

from __future__ import annotations

from typing import Any

from channels.mail import read
from channels.mail.inbound.arrival import envelope
from channels.mail.judge.dns import Keys
from channels.mail.process import Job
from channels.mail.values import Envelope
from channels.message import Event

_keys = Keys()  # the cache of DKIM keys lives as long as the child


def work(job: Job) -> tuple[Any, ...]:
    """Read one mail. An unexpected error is ours, not the mail's: the mail is shown as a stub that says so."""
    try:
        if why := str(job.facts.get("unreadable", "")):
            return (_stub(job, why),)
        person = bool(job.facts.get("person"))
        if name := job.facts.get("describe"):  # for a person who wants to see how it is read
            return (read.described(str(name), read.examine(job.raw, Envelope(), job.us, _keys)),)
        reading = read.examine(job.raw, envelope(job.facts), job.us, _keys, person=person)
        return read.events(job.channel, job.external_id, job.digest, job.at, reading, job.us)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, this mail has to be visible as something
        why = f"Santral could not read it ({type(error).__name__})"
        return (_stub(job, why),)


def _stub(job: Job, why: str) -> Event:
    return read.unreadable(job.channel, job.external_id, job.at, job.raw, why, envelope(job.facts), job.us)
