"""The data planes that can carry what the controller compiles."""
