# Which kind of call it is stands in the source field; a call through a register has it in the destination.
call 1                  # want 85 00 0000 01000000
call helper 6           # want 85 00 0000 06000000
call helper 0x2a        # want 85 00 0000 2a000000
call bpf_map_lookup_elem # want 85 00 0000 01000000
call ktime_get_ns       # want 85 00 0000 05000000
call helper %r3         # want 8d 03 0000 00000000
call %r2                # want 8d 02 0000 00000000
callx r2                # want 8d 02 0000 00000000
call runtime 0x2a       # want 85 20 0000 2a000000
call local function     # want 85 10 0000 02000000
call local -2           # want 85 10 0000 feffffff
exit                    # want 95 00 0000 00000000
function:
call function           # want 85 10 0000 ffffffff
exit                    # want 95 00 0000 00000000
