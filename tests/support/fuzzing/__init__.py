"""A structure-aware fuzzer of bertcore's readers of foreign files.

Each case is a file, or a folder of files, of a valid format in which some fields lie: a count, an offset, a name, a
checksum. It is a pure function of the name of its target, a seed and its number, so that every case can be made again.
``scripts/fuzz.py`` runs as many as one likes, ``tests/test_fuzzing.py`` some.
"""
