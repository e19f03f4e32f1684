"""What a person wrote: options, values, the environment, the format of the result."""
