"""Log files of every kind: what is read out of them, how far each was read, and how it is sent."""
