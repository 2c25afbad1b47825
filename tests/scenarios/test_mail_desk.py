"""What agents see of mail beside its words: empty files, further recipients, and how it stands with the mailbox."""

from __future__ import annotations

from sandbox.mail.clients import Enclosure
from tests.scenarios.desk import answer, say
from tests.scenarios.mail import AYSE, JONAS, received, says, wrote
from tests.world import MAILBOX, MAILBOX_PASSWORD, World, eventually


async def test_an_empty_file_is_named_and_those_in_copy_are_shown_and_get_no_answer(mail_world: World) -> None:
    world = mail_world
    for address in (AYSE, JONAS):
        world.mail.add_account(address)
    await world.start()
    empty = Enclosure(name="bos.pdf", media_type="application/pdf", data=b"")
    slip = Enclosure(name="fis.pdf", media_type="application/pdf", data=b"%PDF slip")
    card = await wrote(world, AYSE, "Fiş ekte", attachments=[empty, slip], to=[MAILBOX, JONAS])
    await eventually(lambda: len(world.slack.files) == 1)
    shown = str((await world.roots())[0])
    assert say("file.empty") in shown
    assert JONAS in shown
    assert "bos.pdf" not in {file.name for file in world.slack.files.values()}
    await answer(world, card, "Fişi aldık")
    await received(world, AYSE, "Fişi aldık")
    assert not world.mail.inbox(JONAS)[1:], "only the customer's own mail reached who was in copy"
    assert "Fişi aldık" not in str(world.mail.inbox(JONAS))


async def test_a_mailbox_that_is_read_again_is_told_without_new_mail_and_may_refuse_again_the_same_day(
    mail_world: World,
) -> None:
    world = mail_world
    await world.start()
    await eventually(lambda: world.mail.idlers(MAILBOX))
    for times in (1, 2):
        world.mail.add_account(MAILBOX, password=f"changed by the provider {times}")
        world.mail.cut(MAILBOX)
        await _said(world, says("refuses_us.what-email"), times)
        await world.stop()
        world.mail.add_account(MAILBOX, password=MAILBOX_PASSWORD)
        await world.start()
        await _said(world, says("reads_again.what-email"), times)
        await eventually(lambda: world.mail.idlers(MAILBOX))


async def _said(world: World, words: str, times: int) -> None:
    """Wait until these words head so many posts."""

    async def found() -> bool:
        return sum(words in str(root) for root in await world.roots()) == times

    await eventually(found)
