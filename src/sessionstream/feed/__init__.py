"""The feed as readers see it: positions and cursors, pages of pointers with their events, and who is woken when."""
