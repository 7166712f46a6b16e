"""The render farm's room: sealed job folders planned, painted, assembled and verified, without a server."""
