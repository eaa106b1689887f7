# TF-Agents' type aliases are unions that allow an int wherever a tensor may
# stand. The type check treats them as `Any`, like TensorFlow's own types.
from typing import Any

def __getattr__(name: str) -> Any: ...
