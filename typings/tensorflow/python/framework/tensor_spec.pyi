# The base classes of TF-Agents' specs.
from typing import Any

def __getattr__(name: str) -> Any: ...
