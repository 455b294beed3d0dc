"""What tools for annotating texts export, as plain records that the tasks read."""
