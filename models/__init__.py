"""The nouns: what the desk remembers. Importing a module registers its tables; `database.engine` imports them all."""
