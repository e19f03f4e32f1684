echo a
nosuchcommand --flag
