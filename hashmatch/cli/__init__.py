"""The command line: declarative commands over the library, exit codes, tables and progress for people."""
