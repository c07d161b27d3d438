"""Who you are and what you may do: accounts, passwords, tokens, sessions, permissions."""
