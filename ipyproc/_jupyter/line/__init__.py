"""What the user wrote in the line: options, words, values, environment and result format."""
