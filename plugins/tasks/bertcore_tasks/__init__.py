"""The tasks of bertcore.

``plugins.py`` names them all; each is a plugin and an entry point of its own. A task is a description, as in
``glue/tasks.py``, of one of the classes that do the work::

    classification.py multi_label.py regression.py    what is predicted of a text, or a pair of texts
    texts.py predictions.py metrics.py                ... and what these three share
    glue/ clue/                                       official files, in TSV and in JSON lines
    ner/                                              named entities
    qa/                                               answers as spans of a context
    custom/                                           all of these on the user's own files
    annotations/                                      what tools for annotating export, for custom/
    own_files.py official_files.py                    which file is which split
    fields.py label_texts.py                          values and labels as files hold them
    wording.py                                        numbers with their nouns, for notes and errors
    benchmarks.py                                     leaderboards that take the files of several tasks
"""
