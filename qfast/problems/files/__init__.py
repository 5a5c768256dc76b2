"""Problems in files: models of planners and model checkers, read and written, and Python files that make one."""
