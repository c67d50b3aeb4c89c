"""groups -> people and programs: the group stream, the TraP drop-in, tail."""
