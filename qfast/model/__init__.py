"""What is learned, and by whom: problems, learners and their settings, rates and random streams; checked values."""
