# Forms of instruction that compilers seldom choose. Assembled by tests/objects/make.sh.
main:
r1 = r2
w1 = w2
w1 = -1
r1 = -5
r1 = 305419896
r1 += r2
r1 s/= r2
r1 s%= 3
w1 s/= w2
r1 = (s8)r2
r1 = (s16)r2
r1 = (s32)r2
w1 = (s8)w2
w1 = (s16)w2
r1 = -r1
w1 = -w1
r1 = le16 r1
r1 = le32 r1
r1 = le64 r1
r1 = be16 r1
r1 = be64 r1
r1 = bswap16 r1
r1 = bswap64 r1
r1 = 0x1122334455667788 ll
r1 = 0xffffffffffffffff ll
r1 = 0x1 ll
r1 s>>= 3
w1 >>= w2
w1 s>>= 4
r0 = *(u8 *)skb[20]
r0 = *(u16 *)skb[20]
r0 = *(u32 *)skb[r1]
r1 = *(u8 *)(r2 + 0)
r1 = *(u8 *)(r2 - 8)
r1 = *(s8 *)(r2 - 8)
r1 = *(s16 *)(r2 + 8)
r1 = *(s32 *)(r2 + 8)
*(u32 *)(r10 - 8) = r1
*(u32 *)(r10 - 8) = 7
*(u64 *)(r10 - 8) = -7
lock *(u64 *)(r10 - 8) += r1
lock *(u32 *)(r10 - 8) += w1
lock *(u64 *)(r10 - 8) |= r1
lock *(u64 *)(r10 - 8) &= r1
lock *(u64 *)(r10 - 8) ^= r1
r1 = atomic_fetch_add((u64 *)(r10 - 8), r1)
w1 = atomic_fetch_add((u32 *)(r10 - 8), w1)
r1 = atomic_fetch_or((u64 *)(r10 - 8), r1)
r1 = xchg_64(r10 - 8, r1)
w1 = xchg32_32(r10 - 8, w1)
r0 = cmpxchg_64(r10 - 8, r0, r1)
w0 = cmpxchg32_32(r10 - 8, w0, w1)
if r1 == r2 goto +2
if r1 s> -3 goto -3
if w1 != 5 goto +1
if r1 & 7 goto +1
if r1 & r2 goto +1
goto +2
goto -2
gotol +2
gotol -100
call 1
call -1
call main
callx r2
exit
