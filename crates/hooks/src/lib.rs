//! Load, attach and read BPF filters: the only part of weir that talks to the kernel's BPF side.
