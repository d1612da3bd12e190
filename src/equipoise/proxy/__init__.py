"""What a controller hands to a data plane, whichever that is: the proxy model, and what comes back."""
