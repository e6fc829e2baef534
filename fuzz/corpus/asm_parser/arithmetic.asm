# 64 and 32 bits, by register and by number.
mov %r0, 1              # want b7 00 0000 01000000
mov32 r3, r4            # want bc 43 0000 00000000
add %r0, %r1            # want 0f 10 0000 00000000
add32 r0, 2             # want 04 00 0000 02000000
sub %r0, %r2            # want 1f 20 0000 00000000
mul32 %r0, 3            # want 24 00 0000 03000000
div %r0, %r3            # want 3f 30 0000 00000000
div32 %r0, 4            # want 34 00 0000 04000000
or %r0, %r4             # want 4f 40 0000 00000000
and %r0, 0xff           # want 57 00 0000 ff000000
lsh %r0, %r5            # want 6f 50 0000 00000000
rsh32 %r0, 8            # want 74 00 0000 08000000
mod %r0, %r6            # want 9f 60 0000 00000000
xor %r0, %r7            # want af 70 0000 00000000
arsh %r0, 12            # want c7 00 0000 0c000000
neg %r8                 # want 87 08 0000 00000000
neg32 %r8               # want 84 08 0000 00000000
mov64 r1 r2             # want bf 21 0000 00000000
