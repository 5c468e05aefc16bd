//! Namespaces, by device and inode, and entering them.
