"""The database: connection, embedded server, preparation of a lab's server, roles, passwords."""
