"""From a meta-batch to new meta-parameters."""
