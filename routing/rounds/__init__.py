"""Decisions carried out: the pieces of work that need the database beside the pure rules of `routing`.

`acknowledging` tells customers when somebody answers, `assigning` finds an agent, `promising` keeps the clocks,
`understanding` looks closer at what was said.
"""
