"""Reading and writing mail: what `channels/mail/adapter.py` is made of. Each module takes values and returns values.

In: `imap` and `inbound` bring raw mails, `parse` takes them apart, `quotes` finds what they wrote, `judge` says who and
whether a person; `read` puts it together and `process` does that in a child. Out: `send`.

Rule: nothing that comes in a mail is believed, and none of it may cost more than bounded time; what cannot be read is
named and kept, never dropped.
"""
