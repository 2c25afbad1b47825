"""Composition: configuration, object graph, web server, command line. Nobody imports it."""
