"""Blocks of agents: the unit of work, how it travels, what is kept of it, and what it takes of memory."""
