"""The demonstration: two agents at work, a process that dies in the middle, and another one that goes on."""
