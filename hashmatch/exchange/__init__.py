"""Lists from files and into files, one module per format; ``formats`` is the table."""
