// Every form of instruction that clang makes of C. Compiled by tests/objects/make.sh.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
#define SEC(name) __attribute__((section(name), used))
#define NOINLINE __attribute__((noinline))

struct {
    int (*type)[1];
    u32 *key;
    u64 *value;
    int (*max_entries)[16];
} counts SEC(".maps");

static void *(*lookup)(void *, const void *) = (void *)1;
static u64 (*ktime)(void) = (void *)5;
u64 load_byte(void *skb, u64 off) __asm__("llvm.bpf.load.byte");
u64 load_half(void *skb, u64 off) __asm__("llvm.bpf.load.half");
u64 load_word(void *skb, u64 off) __asm__("llvm.bpf.load.word");

u64 total;
const volatile u64 limit = 5;
s64 start = -7;

struct fields { s8 a; u8 b; s16 c; u16 d; s32 e; u32 f; s64 g; u64 h; };

SEC("socket") u64 widths(struct fields *p) {
    p->a = p->b; p->c = p->d; p->e = p->f; p->g = p->h;
    p->b = 7; p->d = 0x1234; p->f = 0x7fffffff; p->h = -9;
    return p->a + p->c + p->e + p->g;
}
SEC("socket") u64 arithmetic(u64 a, u64 b, u64 c) {
    a += b; a -= c; a *= b; a /= c | 1; a %= b | 1; a |= c; a &= b; a ^= c; a <<= b & 63; a >>= c & 63;
    a = (u64)((s64)a >> (b & 63)); a = -a; a += 0x1122334455667788; a *= 0xffffffff00000000; a -= 12345;
    return a / 10 + a % 7;
}
SEC("socket") u32 arithmetic32(u32 a, u32 b, u32 c) {
    a += b; a -= c; a *= b; a /= c | 1; a %= b | 1; a |= c; a &= b; a ^= c; a <<= b & 31; a >>= c & 31;
    a = (u32)((s32)a >> (b & 31)); a = -a;
    return a / 10 + a % 7;
}
SEC("xdp") u64 jumps(u64 a, u64 b, u32 c, u32 d, s64 *out) {
    u64 n = 0;
    for (u64 i = a; i < b; i += *out) n += ktime();
    if (a == b) n += ktime(); if (a != 5) *out = 1; if (a > b) n ^= ktime(); if (a >= 77) out[1] = n;
    if ((s64)a < (s64)b) n += ktime(); if ((s64)a <= -5) out[2] = n; if ((s64)a > -9) out[3] = ktime();
    if (a & 0x10) out[4] = ktime(); if (c == d) out[5] = n; if (c > 9) out[6] = ktime(); if ((s32)c < (s32)d) out[7] = n;
    if ((s32)c >= -3) out[8] = ktime(); if (c & d) out[9] = 1;
    while (out[10]-- > 0) { if (out[11]) break; out[12] = ktime(); }
    return n;
}
SEC("xdp") u64 swaps(u16 a, u32 b, u64 c) {
    return __builtin_bswap16(a) + __builtin_bswap32(b) + __builtin_bswap64(c);
}
SEC("classifier") u64 atomics(u64 *p, u32 *q, u64 v) {
    __sync_fetch_and_add(p, v); __sync_fetch_and_or(p, v); __sync_fetch_and_and(p, v); __sync_fetch_and_xor(p, v);
    __sync_fetch_and_add(q, 3);
    return 0;
}
#if ATOMICS
SEC("classifier") u64 fetching(u64 *p, u32 *q, u64 v) {
    v += __sync_fetch_and_add(p, v); v += __sync_fetch_and_or(p, v); v += __sync_fetch_and_and(p, v);
    v += __sync_fetch_and_xor(p, v); v += __sync_lock_test_and_set(p, v); v += __sync_val_compare_and_swap(p, 3, v);
    v += __sync_fetch_and_add(q, 3); v += __sync_fetch_and_or(q, 3); v += __sync_fetch_and_and(q, 3);
    v += __sync_fetch_and_xor(q, 3); v += __sync_lock_test_and_set(q, 4); v += __sync_val_compare_and_swap(q, 3, 5);
    return v;
}
#endif
SEC("socket") u64 packet(void *skb) {
    return load_byte(skb, 12) + load_half(skb, 20) + load_word(skb, 30) + load_word(skb, load_byte(skb, 5) + 3);
}
static NOINLINE u64 local(u64 *p, u32 n) { return *p + n * ktime(); }
NOINLINE u64 shared(u64 *p) { return local(p, 3) + *p; }
SEC("socket") u64 calls(u64 *p) { return local(p, 5) + shared(p) + shared(p + 1); }
SEC("socket") u64 maps(void *skb) {
    u32 key = 3;
    u64 *value = lookup(&counts, &key);
    if (value) { *value += 1; total += *value; start -= limit; }
    return total + start;
}
#if SIGNED_DIVISION
SEC("tracepoint/signed") s64 signed_forms(s64 a, s64 b, s32 c, s32 d, void *p) {
    s8 *e = p;
    s16 *f = p + 2;
    s32 *g = p + 4;
    s64 n = a / b + a % b + c / d + c % d + a / 3 + c % 5;
    return n + (s8)a + (s16)b + (s32)a + *e + *f + *g + (s32)(s8)c + (s32)(s16)d;
}
#endif
char _license[] SEC("license") = "GPL";
