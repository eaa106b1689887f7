"""Collection: adapted policies, rollouts and the meta-batches they fill."""
