"""The add-on's use-cases: no bpy, no gRPC; Blender and the backend arrive as arguments."""
