"""Who asked for no more messages, in which word, and receipts that are about sends still under way."""

from tortoise import migrations
from tortoise.migrations import operations

FORWARD = """
-- While silenced_at stands: the word by which they asked for it, "" where they blocked us or nobody is there.
alter table addresses add column silenced_word text not null default '';
-- How far a send has got, as a watermark told before we knew that it was sent at all.
alter table deliveries add column ahead smallint not null default 0;
alter table early_receipts add column earlier boolean not null default false;
"""

BACKWARD = """
alter table early_receipts drop column earlier;
alter table deliveries drop column ahead;
alter table addresses drop column silenced_word;
"""


class Migration(migrations.Migration):
    dependencies = [("inbox", "m0004_channels")]  # noqa: RUF012
    operations = [operations.RunSQL(FORWARD, BACKWARD)]  # noqa: RUF012
