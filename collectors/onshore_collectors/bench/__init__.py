"""`onshore bench read|collect`: how fast files are read, and how large ones arrive, with a kill in the middle."""
