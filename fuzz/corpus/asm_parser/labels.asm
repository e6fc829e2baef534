# A wide immediate takes two slots; `exit` as a target is the first one.
    mov %r0, 0          # want b7 00 0000 00000000
    lddw %r1, 7         # want 18 01 0000 07000000 00 00 0000 00000000
again:
    jeq %r1, 0, exit    # want 15 01 0500 00000000
    jgt %r1, 3, Later   # want 25 01 0500 03000000
    sub %r1, 1          # want 17 01 0000 01000000
    ja32 again          # want 06 00 0000 fcffffff
inner: ja inner         # want 05 00 ffff 00000000

    mov %r0, 1          # want b7 00 0000 01000000
    exit                # want 95 00 0000 00000000
Later:
    ja exit             # want 05 00 feff 00000000
    exit                # want 95 00 0000 00000000
