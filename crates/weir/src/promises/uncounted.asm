; What valid-command decides, without a map and without counting: the filter that the cost of the counts is told from.
.license "Dual MIT/GPL"
.equ PAYLOAD, 8                         ; behind the UDP header
.equ PUT, 0x545550                      ; the words, as little-endian integers
.equ GET, 0x544547
.equ STOP, 0x504f5453
.equ DELETE, 0x4554454c4544

.program valid_command socket
.slot first u64                         ; the payload's first bytes, with zeros behind a short one
    ldxw r4, [r1 + 0]                   ; the packet's length from the UDP header on
    jle r4, PAYLOAD, drop
    sub r4, PAYLOAD
    jle r4, 8, whole
    mov r4, 8
whole:
    stdw [first], 0
    mov r2, PAYLOAD
    mov r3, r10
    add r3, first
    call skb_load_bytes
    jne r0, 0, drop
    ldxdw r1, [first]
    le64 r1
    mov r3, r1
    and r3, 0xffffff
    jeq r3, GET, accept
    jeq r3, PUT, accept
    mov r3, r1
    lsh r3, 16
    lddw r4, DELETE
    lsh r4, 16
    jeq r3, r4, accept
    jeq32 r1, STOP, accept
drop:
    mov r0, 0
    exit
accept:
    mov r0, -1
    exit
