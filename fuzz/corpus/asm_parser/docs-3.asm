    call ktime_get_ns
    jeq r0, 0, exit
    call double
    exit
double:
    add r0, r0
    exit
