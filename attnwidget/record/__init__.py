"""What was recorded: `Layer`, `Stream`, `Record`, their positions, and the files they are kept in."""
