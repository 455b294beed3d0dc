"""Tasks on the user's own files: one module for each task, and what those on tables share.

::

    tables.py      files to examples, by way of
    columns.py     which columns hold texts and labels
    labels.py      what the fields of these columns say
"""
