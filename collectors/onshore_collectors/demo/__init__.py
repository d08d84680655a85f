"""The demo factory: four invented companies at work, and what every control must say about each of their events."""
