"""What is kept, and the only place that touches the tables: `arrivals` is the hot path of what comes in, `messages` and
`deliveries` what goes out, `work` what is still to be done, `slack` what the desk shows and hears, `cursors` and
`quarantine` the rest; `database` opens it all, `migrations` makes the tables.

Rule: SQL stands in the function that needs it. Every function takes the caller's connection first and commits nothing:
the caller's transaction says what becomes true together.
"""
