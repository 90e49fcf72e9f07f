"""Arrays in, arrays out: compiled kernels that know nothing of images, files or policy."""
