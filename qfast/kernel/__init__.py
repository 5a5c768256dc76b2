"""All that numba compiles: `loop` is the algorithm, `step` one step of it, the rest what they are made of."""
