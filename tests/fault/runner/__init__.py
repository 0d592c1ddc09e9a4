"""The fault runner: workers that note what they are told, faults drawn from a seeded plan, and a checker of it all.

A run has rounds. In each a few processes work on the same sessions (`worker`, `writing`, `watching`) and note in a file
of their own, before each call, what they ask for and, after it, what they were told (`journal`). Meanwhile the runner
(`rounds`) does to servers, connections and processes what its plan says (`plan`, `faults`, `cluster`), and waits after
each fault until work goes on. In the end nobody writes any more, who follows catches up, and `checker` holds the notes
against what the server has.
"""
