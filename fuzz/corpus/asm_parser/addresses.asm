# What a 64-bit immediate means stands in its source field (RFC 9669, section 5.4).
lmfd r1, 7                            # want 18 11 0000 07000000 00 00 0000 00000000
lddw r1, map_by_fd(7)                 # want 18 11 0000 07000000 00 00 0000 00000000
lddw %r1, map_by_fd(array_map)        # want 18 11 0000 00000000 00 00 0000 00000000
lmap r1, array_map                    # want 18 11 0000 00000000 00 00 0000 00000000
lddw r1, map_val(map_by_fd(7)) + 8    # want 18 21 0000 07000000 00 00 0000 08000000
lddw r1, map_val(array_map) + 16      # want 18 21 0000 00000000 00 00 0000 10000000
lddw r1, var_addr(5)                  # want 18 31 0000 05000000 00 00 0000 00000000
lddw r1, code_addr(+3)                # want 18 41 0000 03000000 00 00 0000 00000000
lddw r1, code_addr(function)          # want 18 41 0000 06000000 00 00 0000 00000000
lddw r1, map_by_idx(2)                # want 18 51 0000 02000000 00 00 0000 00000000
lddw r1, map_val(map_by_idx(2)) + 4   # want 18 61 0000 02000000 00 00 0000 04000000
exit                                  # want 95 00 0000 00000000
function:
exit                                  # want 95 00 0000 00000000
