"""The add-on in a real Blender window: real mouse, real keys, a real server. `make test-window`; pictures in out/window/."""
