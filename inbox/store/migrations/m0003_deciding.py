"""What deciding needs: a customer's wish of language, who is on shift, acknowledgements, corrections, learned models."""

from tortoise import migrations
from tortoise.migrations import operations

FORWARD = """
alter table conversations add column wish text not null default '';
alter table conversations add column understood bigint not null default 0;
alter table conversations add column due_at timestamptz;
alter table conversations add column due_what text not null default '';
alter table conversations add column due_state text not null default '';
create index conversations_unassigned on conversations (team) where agent = '' and state = 'open';
create index conversations_agent on conversations (agent) where agent <> '' and state = 'open';

alter table agents add column away_since timestamptz;
alter table agents add column away_until timestamptz;
alter table agents add column assigned_at timestamptz;
alter table agents add column present boolean;
alter table agents add column seen_at timestamptz;

create table acknowledgements (
    customer_id      bigint not null references customers,
    once             timestamptz not null,
    conversation_id  bigint not null references conversations,
    address_id       bigint not null references addresses,
    kind             text not null check (kind in ('closed', 'busy')),
    at               timestamptz not null,
    opens_at         timestamptz,
    primary key (customer_id, once)
);
create index acknowledgements_address on acknowledgements (address_id, at);
create index acknowledgements_at on acknowledgements (at);

create table corrections (
    message_id  bigint primary key references messages,
    language    text not null default '',
    tags        text[] not null,
    priority    smallint not null check (priority between 0 and 3),
    by          text not null,
    at          timestamptz not null
);

create table learned (
    version   text primary key,
    made_at   timestamptz not null default now(),
    examples  integer not null,
    scores    jsonb not null default '{}',
    content   bytea not null,
    used_at   timestamptz,
    refused   text not null default ''
);
"""

BACKWARD = """
drop table learned, corrections, acknowledgements;
alter table agents drop column away_since, drop column away_until, drop column assigned_at, drop column present,
    drop column seen_at;
drop index conversations_unassigned, conversations_agent;
alter table conversations drop column wish, drop column understood, drop column due_at,
    drop column due_what, drop column due_state;
"""


class Migration(migrations.Migration):
    dependencies = [("inbox", "m0002_letters")]  # noqa: RUF012
    operations = [operations.RunSQL(FORWARD, BACKWARD)]  # noqa: RUF012
