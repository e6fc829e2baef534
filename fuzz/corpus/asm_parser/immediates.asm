# A hexadecimal number of 32 bits is a pattern; a decimal one is a quantity.
mov %r1, 0xffffffff     # want b7 01 0000 ffffffff
mov32 %r1, 0x80000001   # want b4 01 0000 01000080
jeq %r1, 0x80000000, +0 # want 15 01 0000 00000080
mov %r1, -1             # want b7 01 0000 ffffffff
mov %r1, 2147483647     # want b7 01 0000 ffffff7f
mov %r1, -2147483648    # want b7 01 0000 00000080
mov %r1, -0x80000000    # want b7 01 0000 00000080
lddw %r0, 0x1122334455667788 # want 18 00 0000 88776655 00 00 0000 44332211
lddw %r1, 0xFFFFFFFF80000000 # want 18 01 0000 00000080 00 00 0000 ffffffff
lddw %r1, -2            # want 18 01 0000 feffffff 00 00 0000 ffffffff
lddw %r2, 1             # want 18 02 0000 01000000 00 00 0000 00000000
