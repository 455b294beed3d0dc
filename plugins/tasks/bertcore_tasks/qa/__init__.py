"""Extractive question answering: SQuAD, CMRC 2018, and files in their form.

From files to examples, and from these to scores::

    forms.py (questions as files have them) -> reading.py (answers.py: where they stand in their context)
    encoding.py (windows.py) -> the model -> accumulator.py (decoding.py) -> scoring.py (metrics.py, cjrc.py)

``predictions.py`` reads what any program answered. The class of the tasks is in ``base.py``, its options in
``options.py``, and what is published under a name in ``tasks.py``.
"""
