"""The adapters: one module per client, each with a function `clients()` that returns its rows of the matrix."""
