"""What further channels need: secrets of this installation, echoes of what was sent elsewhere, lasting opt-outs."""

from tortoise import migrations
from tortoise.migrations import operations

FORWARD = """
create table secrets (
    name     text primary key,
    value    bytea not null,
    made_at  timestamptz not null default now()
);

create table echoes (
    channel      text not null,
    external_id  text not null,
    address_id   bigint not null references addresses,
    body         jsonb not null,
    at           timestamptz not null,
    primary key (channel, external_id)
);

create table tombstones (
    channel      text not null,
    external_id  text not null,
    at           timestamptz not null,
    erase        boolean not null,
    primary key (channel, external_id)
);
create index tombstones_at on tombstones (at);

-- Lasting opt-outs: the channel, and in which words. Only an opt-in there ends one.
alter table addresses add column opted_out jsonb not null default '{}';
create index deliveries_channel on deliveries (channel, created_at);
"""

BACKWARD = """
drop index deliveries_channel;
alter table addresses drop column opted_out;
drop table tombstones, echoes, secrets;
"""


class Migration(migrations.Migration):
    dependencies = [("inbox", "m0003_deciding")]  # noqa: RUF012
    operations = [operations.RunSQL(FORWARD, BACKWARD)]  # noqa: RUF012
