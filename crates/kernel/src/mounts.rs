//! Mounts, file systems and loop devices, to be compared.
