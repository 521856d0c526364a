"""The steps, one file each, named for the format that it leads to."""
