"""asyncio's face of a program: `Process`, the factories that make one, and those that run now."""
