"""infer: photographs become vessel maps."""
