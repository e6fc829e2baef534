# Signed division is told by the offset 1 (RFC 9669, section 4.1), a sign-extending move by the number of bits.
sdiv %r0, %r1           # want 3f 10 0100 00000000
sdiv32 %r0, -3          # want 34 00 0100 fdffffff
smod %r2, %r3           # want 9f 32 0100 00000000
smod32 %r2, 5           # want 94 02 0100 05000000
movsx832 %r2, %r1       # want bc 12 0800 00000000
movsx1632 %r4, %r3      # want bc 34 1000 00000000
movsx864 %r6, %r5       # want bf 56 0800 00000000
movsx1664 %r8, %r7      # want bf 78 1000 00000000
movsx3264 %r0, %r9      # want bf 90 2000 00000000
