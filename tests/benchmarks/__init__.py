"""The benchmarks, as tests see them: that they run and how they measure, never how fast."""
