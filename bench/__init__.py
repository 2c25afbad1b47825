"""Measures what Santral promises about speed and size, and prints it beside a bare baseline of the same run.

Rule: everything is real (the program as its own process, its own PostgreSQL, HTTP between all parts), and nothing here
fails because of a time: a missed budget is a line that says so.
"""
