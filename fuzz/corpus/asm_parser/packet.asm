ldabsb 12               # want 30 00 0000 0c000000
ldabsh 12               # want 28 00 0000 0c000000
ldabsw 12               # want 20 00 0000 0c000000
ldabsdw 12              # want 38 00 0000 0c000000
ldindb r2, 4            # want 50 20 0000 04000000
ldindw %r3 -4           # want 40 30 0000 fcffffff
