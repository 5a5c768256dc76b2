"""Files: archives that are written whole or not at all, growing arrays, and locked folders of parts."""
