"""Collecting doctests imports every module; the peer that needs the optional JAX must not fail for that."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("jax") else ["jax_batched.py"]
