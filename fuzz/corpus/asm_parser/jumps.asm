# Each mnemonic in both widths; distances are in slots, from the next instruction.
jeq %r1, 5, +1          # want 15 01 0100 05000000
jeq %r1, %r2, 1         # want 1d 21 0100 00000000
jeq32 %r1, 5, +1        # want 16 01 0100 05000000
jgt %r1, 5, +1          # want 25 01 0100 05000000
jge32 %r1, %r2, +1      # want 3e 21 0100 00000000
jset %r1, 8, +1         # want 45 01 0100 08000000
jne %r1, -1, -3         # want 55 01 fdff ffffffff
jne32 %r1, %r0, +1      # want 5e 01 0100 00000000
jsgt %r1, 5, +1         # want 65 01 0100 05000000
jsge %r1, 5, +1         # want 75 01 0100 05000000
jlt %r1, 5, +1          # want a5 01 0100 05000000
jle32 %r1, 5, +1        # want b6 01 0100 05000000
jslt %r1, 5, +1         # want c5 01 0100 05000000
jsle32 %r1, %r2, +1     # want de 21 0100 00000000
ja -3                   # want 05 00 fdff 00000000
ja +2                   # want 05 00 0200 00000000
ja32 +70000             # want 06 00 0000 70110100
gotol -2                # want 06 00 0000 feffffff
