//! Containers of Docker and Podman, over the Engine API on their Unix sockets.
