# The operation stands in the immediate, 1 more where the old value is fetched (RFC 9669, section 5.3).
lock add [%r10-8], %r1          # want db 1a f8ff 00000000
lock add32 [r10-8], r1          # want c3 1a f8ff 00000000
lock or [%r10-8], %r1           # want db 1a f8ff 40000000
lock and32 [%r10-8], %r1        # want c3 1a f8ff 50000000
lock xor [%r10-8], %r1          # want db 1a f8ff a0000000
lock fetch add [%r10-8], %r1    # want db 1a f8ff 01000000
lock fetch or32 [%r10-8], %r1   # want c3 1a f8ff 41000000
lock fetch and [%r10-8], %r1    # want db 1a f8ff 51000000
lock fetch xor32 [%r10-8], %r1  # want c3 1a f8ff a1000000
lock xchg [%r10-8], %r1         # want db 1a f8ff e1000000
lock xchg32 [%r10-8], %r1       # want c3 1a f8ff e1000000
lock cmpxchg [%r10-8], %r1      # want db 1a f8ff f1000000
lock cmpxchg32 [%r10-8], %r1    # want c3 1a f8ff f1000000
