"""Who asked for no more messages, in which word, and receipts that are about sends still under way."""

from tortoise import migrations
from tortoise.migrations import operations

FORWARD = """
-- Silences that end when they write there again: the channel, since when, why, and by which word if they asked for it.
alter table addresses add column silences jsonb not null default '{}';
-- How far a send has got, as a watermark told before we knew that it was sent at all.
alter table deliveries add column ahead smallint not null default 0;
alter table early_receipts add column earlier boolean not null default false;
"""

BACKWARD = """
alter table early_receipts drop column earlier;
alter table deliveries drop column ahead;
-- The version before knows silences of an address alone.
update addresses set silenced_at = coalesce(silenced_at, now()),
    silenced_why = (select value ->> 'why' from jsonb_each(silences) limit 1) where silences <> '{}';
alter table addresses drop column silences;
"""


class Migration(migrations.Migration):
    dependencies = [("inbox", "m0004_channels")]  # noqa: RUF012
    operations = [operations.RunSQL(FORWARD, BACKWARD)]  # noqa: RUF012
