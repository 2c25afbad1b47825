"""A mailbox read over IMAP, by a cursor and never by flags, in a thread of its own."""
