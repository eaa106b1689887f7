"""`maml_tf.adapt`: one call that adapts a trained policy to one task."""
