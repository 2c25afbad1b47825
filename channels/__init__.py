"""One package per provider: verify, parse, send. Knows nothing of storage or Slack.

In each, `adapter` is what the registry names (`meta` has two, by their names), `parse` and `wire` read what comes,
`setup` looks at how the account is set up. At the top: the contract (`channel`, `message`, `errors`), the list of kinds
(`registry`), and what all of them use.
"""
