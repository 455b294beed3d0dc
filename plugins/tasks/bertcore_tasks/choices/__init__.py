"""Multiple choice: a question, and which of its choices is right.

questions       questions as examples, whatever their files look like
gold            which choice a label means
encoding        a row for each choice
scoring         scores, predictions and errors
base            what all tasks share; swag is one of them, custom/multiple_choice and clue/c3 are others
"""
