# Offsets with and without blanks, with and without a sign.
ldxb %r0, [%r1+2]       # want 71 10 0200 00000000
ldxh %r0, [%r1]         # want 69 10 0000 00000000
ldxw r2, [r1 + 4]       # want 61 12 0400 00000000
ldxdw %r3, [%r10-8]     # want 79 a3 f8ff 00000000
ldxdw r3 [r10 + -8]     # want 79 a3 f8ff 00000000
ldxsb %r0, [%r1+2]      # want 91 10 0200 00000000
ldxsh %r0, [%r1+2]      # want 89 10 0200 00000000
ldxsw %r0, [%r1+0x10]   # want 81 10 1000 00000000
stb [%r1+2], 0x11       # want 72 01 0200 11000000
sth [%r1+2], 0x2211     # want 6a 01 0200 11220000
stw [%r10-4], 0x44332211 # want 62 0a fcff 11223344
stdw [r10-16], -1       # want 7a 0a f0ff ffffffff
stxb [%r1+2], %r2       # want 73 21 0200 00000000
stxh [%r1+2], %r2       # want 6b 21 0200 00000000
stxw [%r1+2], %r2       # want 63 21 0200 00000000
stxdw [%r10-8], %r0     # want 7b 0a f8ff 00000000
