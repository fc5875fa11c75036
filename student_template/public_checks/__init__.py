"""What check.py uses: public checks of all questions, and looks at the files that you hand in."""
