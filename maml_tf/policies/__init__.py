"""Trained policies that come with the package, and `maml_tf.load_policy`."""
