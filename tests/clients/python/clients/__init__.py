"""The adapters: one module per client. Its function `clients()` returns the client's rows of the matrix."""
