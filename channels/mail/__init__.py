"""Reading and writing mail: what `channels/email.py` is made of. Each module takes values and returns values.

Rule: nothing that comes in a mail is believed, and none of it may cost more than bounded time; what cannot be read is
named and kept, never dropped.
"""
