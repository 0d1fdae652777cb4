"""Files by name: opened safely, told apart, checked before they are changed."""
