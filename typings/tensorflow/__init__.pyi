# TensorFlow 2.15 has no type stubs of its own, and typeshed's are incomplete:
# they lack tf.Module's decorators, tf.random.experimental and most operators of
# tf.Tensor. The type check treats everything from TensorFlow as `Any` instead.
from typing import Any

def __getattr__(name: str) -> Any: ...
