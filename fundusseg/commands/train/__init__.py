"""train: shards become a model folder."""
