"""Run the benchmarks: ``python -m benchmarks``, all of them, or ``python -m benchmarks append_tasks --quick``."""
import asyncio, importlib, sys
asyncio.run(importlib.import_module("benchmarks."+sys.argv[1]).main(sys.argv[2:]))
