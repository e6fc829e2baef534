// Maps with BTF, and lines. Compiled by tests/objects/make.sh.
typedef unsigned int u32;
#define SEC(name) __attribute__((section(name), used))
struct key { u32 address; unsigned short ports[2]; };
union either { u32 one; char other[16]; };
struct {
    int (*type)[9];
    struct key *key;
    long long *value;
    int (*max_entries)[64];
    int (*map_flags)[2];
} flows SEC(".maps");
struct { int (*type)[2]; const u32 *key; union either *value; int (*max_entries)[1]; } mixed SEC(".maps");
struct { int (*type)[7]; int (*key_size)[4]; int (*value_size)[80]; int (*max_entries)[1]; } stacks SEC(".maps");

static void *(*lookup)(void *, const void *) = (void *)1;

SEC("socket") int count(void *skb) {
    struct key key = {.address = 1};
    long long *value = lookup(&flows, &key);
    if (!value) return 7;
    *value += 1;
    return lookup(&mixed, &key) != 0;
}
