"""The commands of `fabric-bo`, a file each: declare the arguments, call what does the work, print what came of it."""
