"""What a subject is about, without what programs put before the subject of an answer or a forward. Pure.

Rule: for showing and comparing only. Which conversation a mail belongs to is never told by its subject.
"""

from __future__ import annotations

import re

LONGEST = 40  # characters of a label that can be one

_LABELS = frozenset("""
    re r fw fwd aw antw antwort wg sv vs vb vl fs ynt ilt tr rv rif i odp pd res enc doorst bls atb tl trs vá továbbítás
    на отв ответ пер пересл відп απ πρθ σχετ ha השב תשובה רד הועבר העברה رد
    回复 回覆 答复 答覆 转发 轉寄 転送 返信 회신 전달
    ตอบ ส่งต่อ
""".split()) | {"إعادة توجيه"}  # fmt: skip  # noqa: SIM905
_COUNTER = re.compile(r"\s*(?:\[\d{1,3}\]|\(\d{1,3}\)|\^?\d{1,3})$")


def bare_subject(subject: str) -> str:
    """A subject without Re:, Fwd:, YNT:, Ответ: and their like, however many there are, on one line."""
    line = " ".join(subject.split())
    halved = line.replace("：", ":")  # as long as the line itself
    at = 0
    while (colon := halved.find(":", at, at + LONGEST)) >= 0:
        word = _COUNTER.sub("", line[at:colon].strip()).casefold().replace("\u0307", "")
        if word not in _LABELS:
            break
        at = colon + 1
    return line[at:].strip()
