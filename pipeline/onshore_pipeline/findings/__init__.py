"""What people did about findings, until when something must be done, and what is waived: derived, never updated."""
