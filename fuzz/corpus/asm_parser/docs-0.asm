.license "GPL"
.equ HEADER, 8                          ; the UDP header before the payload
.map counts percpu_array key=u32 value=u64 entries=2

.program count_short socket             ; name and section, which tells the type
.slot key u32                           ; four bytes of stack, by name
    mov r9, r1
    ldxw r2, [r9 + 0]                   ; the packet's length
    stw [key], 0
    jlt r2, (HEADER + 4), look_up       ; sums in parentheses; a label
    stw [key], 1
look_up:
    lmap r1, counts                     ; the map, filled in by the loader
    mov r2, r10
    add r2, key                         ; the slot's distance from r10
    call map_lookup_elem                ; a helper by name
    jeq r0, 0, done
    mov r1, 1
    lock add [r0], r1
done:
    mov r0, -1
    exit
