"""Named entity recognition.

A text is a ``Sentence`` of ``units.py``: its units (characters or words), and its entities, which are spans of
characters. From files to sentences::

    columns.py           a unit and its tag a line, as CoNLL
    token_tables.py      a row for each unit, in CSV
    token_records.py     JSON with lists of tokens and of tags
        -> tagged_file.py, what all three give -> tagged_sentences.py (tags.py, the tags of a sentence)
    span_files.py        JSON with a text and its entities; span_lists.py has the many names of their parts
    cmeee.py             the same as CBLUE has it
    json_files.py        tells the forms of JSON apart; input_columns.py, columns for ``bertcore predict``

From sentences to scores::

    units.py -> encoding.py (windows.py, targets.py: tags or spans, losses.py)
        -> the model -> accumulator.py (probabilities.py) or span_accumulator.py -> scoring.py (metrics.py)

``predictions.py`` reads what any program predicted, ``gazetteer.py`` is the baseline that remembers names. The classes
of the tasks are in ``base.py``, ``column_task.py``, ``span_task.py`` and ``cmeee.py``, their options in ``options.py``,
and what is published under a name in ``tasks.py``.
"""
