"""Files that are written: opened safely, told apart, judged before they are touched."""
