"""Tables on disk: columns of a CSV file into arrays, and predictions back into one."""
