"""The ORM's view of the tables, for everything that is not hot. The tables themselves are made by the migrations."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class Customer(Model):
    id = fields.BigIntField(primary_key=True)
    name = fields.TextField(default="")
    time_zone = fields.TextField(default="")
    created_at = fields.DatetimeField()

    class Meta:
        table = "customers"


class AddressRow(Model):
    id = fields.BigIntField(primary_key=True)
    customer: fields.ForeignKeyRelation[Customer] = fields.ForeignKeyField("inbox.Customer", related_name="addresses")
    kind = fields.TextField()
    value = fields.TextField()
    proof = fields.SmallIntField(default=0)
    name = fields.TextField(default="")
    silenced_at = fields.DatetimeField(null=True)
    silenced_why = fields.TextField(default="")

    class Meta:
        table = "addresses"


class Quarantined(Model):
    id = fields.BigIntField(primary_key=True)
    channel = fields.TextField()
    reason = fields.TextField()
    detail = fields.TextField(default="")
    headers: fields.JSONField[dict[str, str]] = fields.JSONField(default=dict)
    body = fields.BinaryField()
    times = fields.IntField(default=1)
    received_at = fields.DatetimeField(auto_now_add=True)
    replayed_at = fields.DatetimeField(null=True)

    class Meta:
        table = "quarantine"


class Agent(Model):
    """Someone of the Slack workspace, as Slack last described them."""

    slack_user = fields.CharField(max_length=64, primary_key=True)
    name = fields.TextField(default="")
    locale = fields.TextField(default="")
    facts: fields.JSONField[dict[str, object]] = fields.JSONField(default=dict)
    answered_at = fields.DatetimeField(null=True)
    read_at = fields.DatetimeField()

    class Meta:
        table = "agents"


class Cursor(Model):
    name = fields.CharField(max_length=255, primary_key=True)
    value = fields.TextField()
    moved_at = fields.DatetimeField(auto_now=True)

    class Meta:
        table = "cursors"
