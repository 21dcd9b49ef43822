"""What is fitted to data beside the network."""
