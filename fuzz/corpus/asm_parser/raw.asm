# A slot as it is, its opcode in the lowest byte.
.raw 0x00000001000000b7 # want b7 00 0000 01000000
.raw 0x95               # want 95 00 0000 00000000
.raw 0xffffffffffffffff # want ff ff ffff ffffffff
