"""What resources look like on the wire: pure functions from records to JSON values (classic-api.md, jobs.md)."""
