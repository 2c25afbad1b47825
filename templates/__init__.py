"""What we say, by language."""
