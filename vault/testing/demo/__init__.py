"""The demo: the main job from nothing, on this machine, with real input and real processes."""
