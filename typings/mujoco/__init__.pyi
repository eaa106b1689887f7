# MuJoCo's compiled modules have no type stubs: everything from it is `Any`.
from typing import Any

def __getattr__(name: str) -> Any: ...
