"""What a data set is: layouts, subjects and splits, samples, shards, sources, truth, maps."""
