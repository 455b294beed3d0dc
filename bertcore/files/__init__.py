"""Files and folders: written whole, brought to the disk, compared when read."""
