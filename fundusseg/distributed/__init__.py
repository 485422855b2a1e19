"""All that several workers of one training need: cluster, rendezvous, strategy, replicas."""
