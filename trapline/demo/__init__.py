"""The main job on this machine, in one command, compared with what was sent."""
