"""Generated from proto/overpaint/v1; see `make proto`."""
