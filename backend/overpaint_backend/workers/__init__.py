"""Who does the work: the walk of one job, and the processes that take it."""
