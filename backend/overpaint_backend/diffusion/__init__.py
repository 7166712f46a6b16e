"""The toolbox of the learned engines: schedules, solvers, seeded noise, attention."""
