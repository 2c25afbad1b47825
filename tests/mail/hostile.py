"""Reading as it goes wrong: what a reader process does with mails that name the harm they do."""

from __future__ import annotations

import os
import signal

from channels.mail.process import Job
from channels.message import Address, Event, Received


def work(job: Job) -> tuple[Event, ...]:
    """Read a mail whose first word says what happens."""
    print("a library that talks")
    match job.raw.split()[0]:
        case b"loop":
            while True:
                pass
        case b"eat":
            bytearray(64 << 30)
        case b"nest":
            _nest(0)
        case b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"once" if not os.path.exists(job.facts["mark"]):
            open(job.facts["mark"], "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
    return (event(job, job.raw.decode()[:40], str(os.getpid())),)


def event(job: Job, text: str, name: str = "") -> Received:
    return Received(
        channel=job.channel,
        external_id=job.external_id,
        sender=Address(kind="email", value="ayse@ornek.com.tr"),
        sender_name=name,
        sent_at=job.at,
        text=text,
    )


def _nest(depth: int) -> int:
    return _nest(depth + 1)
