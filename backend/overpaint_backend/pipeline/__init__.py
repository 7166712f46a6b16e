"""How a clip is cut into windows and a region, and how painted windows become a take again; no engine, no I/O."""
