"""The road, one module a step; each may be killed after any line and run again."""
