"""Lets a process import modules of `core` without the rest of the package.

The package imports TensorFlow, which takes seconds.
"""

import pathlib

import maml_tf

_PACKAGE = pathlib.Path(maml_tf.__file__).parent

# Begins the code of such a process.
PREAMBLE = f"""\
import sys, types
sys.modules['maml_tf'] = types.ModuleType('maml_tf')
sys.modules['maml_tf'].__path__ = [{str(_PACKAGE)!r}]
"""
