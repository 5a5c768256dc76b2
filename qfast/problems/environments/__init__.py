"""Problems found by acting in an environment: `qfast.from_env` and `qfast.discretise`."""
