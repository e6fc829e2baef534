mov r0, 0xffffffff      ; the same as
mov r0, -1
mov32 r1 5              ; without a comma
exit
