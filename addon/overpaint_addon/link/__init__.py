"""The only room of the add-on that knows the network: calls to the backend, off Blender's main thread."""
