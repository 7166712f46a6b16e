"""What must survive a power cut: jobs and their events (SQLite), pixels and painted windows (files)."""
