"""Performance and quality, measured: figures that anyone can make again with one command."""
