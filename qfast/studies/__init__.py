"""Studies of seed variance: many configurations, thousands of agents each, and what they answer."""
