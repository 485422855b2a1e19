"""prep: a data set folder becomes shards."""
