"""What an export says, spelled as others expect it: OSCAL, OCSF, CSV, PDF, a timestamp.

These are renderings. Nothing here reads a store or a clock: one `Report` gives the same bytes wherever it is rendered.
"""
