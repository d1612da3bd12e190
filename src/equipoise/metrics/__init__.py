"""What `/metrics` shows: the families, how they are written, and who counts. Who may read it is `equipoise.http`'s."""
