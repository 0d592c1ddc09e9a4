"""How results look to people: nothing here asks the store for anything."""
