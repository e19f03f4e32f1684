"""What runs outside the kernel and holds the programs: the supervisor and its shims. Linux, standard library."""
