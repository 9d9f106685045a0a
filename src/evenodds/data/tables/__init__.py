"""The cells of tables as they are written, and the columns that they make."""
