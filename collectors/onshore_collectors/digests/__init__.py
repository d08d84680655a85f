"""CloudTrail digest files: what they prove about log files, and what they do not."""
