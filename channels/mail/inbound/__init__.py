"""The other ways in: mail servers that deliver to us, and providers that bring mail by webhook."""
