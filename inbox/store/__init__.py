"""What is kept, and the only place that touches the tables. One module per concern; SQL stands next to its function."""
