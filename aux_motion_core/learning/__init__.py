"""What is learnt on line in the cell: a correction of the network's answer, judged before it is used."""
