"""The only package that opens files: photographs, data sets, shards, models, tables."""
