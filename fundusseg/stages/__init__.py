"""One module per subcommand: each reads and writes through io and computes through pure functions."""
