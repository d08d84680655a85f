"""The words of Onshore as frozen values; standard library only."""
