"""People and machines: the command line, the database connection, queries, plots and reports."""
