"""How the tests make `qfast.train` run with other lanes, blocks and slices than it would choose."""

from contextlib import ExitStack, contextmanager
from unittest import mock

from qfast.engine import blocks, plan, scheduler
from qfast.kernel.spec import Spec


@contextmanager
def kernel_with(*, block=None, max_steps=None, **choices):
    """Run with `choices` in the Spec, `block` agents in a block, and `max_steps` steps between two looks around."""
    with ExitStack() as patches:
        spec = patches.enter_context(
            mock.patch.object(plan, "Spec", side_effect=lambda **chosen: Spec(**(chosen | choices)))
        )
        if block is not None:
            patches.enter_context(mock.patch.object(scheduler, "block_size", return_value=block))
        if max_steps is not None:
            patches.enter_context(mock.patch.object(blocks, "SLICE", max_steps))
        yield
        assert spec.called
