"""What processes tell one another: the job, typed messages, and how a sender shows who it is."""
