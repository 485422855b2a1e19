"""One module per subcommand: it reads and writes through io, and computes by pure functions."""
