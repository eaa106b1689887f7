"""From acting to a meta-batch: policy, driver, buffer, collector."""
