.struct event {
    pid: u32,
    name: u8[16],
    at: u64,
}
.map events ringbuf entries=4096

.program snoop tracepoint/syscalls/sys_enter_recvfrom
.slot last event
    call ktime_get_ns
    stxdw [last.at], r0                 ; a field of a slot
    stw [last + 0], 7
    lmap r1, events
    mov r2, r10
    add r2, last
    mov r3, 32
    mov r4, 0
    call ringbuf_output
    mov r0, event.at                    ; a field's distance from the start of its struct
    exit
