"""What `equipoise demo` is made of: a stand, the walk through it, the screen, and the ways in which it ends."""
