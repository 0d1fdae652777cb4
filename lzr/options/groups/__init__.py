"""The rows of the table of options, a module for each subject; `option` says what a row is."""
