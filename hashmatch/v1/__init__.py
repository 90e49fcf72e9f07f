"""Generated from proto/hashmatch/v1 by `make proto`; do not edit."""
