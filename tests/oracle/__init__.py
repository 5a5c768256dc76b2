"""An independent learner in plain Python, and the tests that compare the kernel with it bit for bit."""
