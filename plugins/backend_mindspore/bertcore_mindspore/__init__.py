"""The MindSpore backend of bertcore."""
