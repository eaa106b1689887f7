"""`maml_tf.adapt`: adapts a trained policy to one task."""
