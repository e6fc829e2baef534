// A map as they were declared before BTF. Compiled by tests/objects/make.sh.
struct bpf_map_def { unsigned type, key_size, value_size, max_entries, flags; };
#define SEC(name) __attribute__((section(name), used))
struct bpf_map_def counter SEC("maps") = {6, 4, 8, 3, 0};
static void *(*lookup)(void *, const void *) = (void *)1;

SEC("socket") int count(void *skb) {
    unsigned key = 2;
    long long *value = lookup(&counter, &key);
    if (value) *value += 1;
    return -1;
}
