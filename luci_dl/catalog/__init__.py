"""The built-in catalog and the user's own: read, check, search, edit."""
