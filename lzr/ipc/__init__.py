"""What processes send one another: the job, typed messages, and how a sender proves who it is."""
