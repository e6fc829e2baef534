mov r0, 4294967295      ; error: this number does not fit 32 bits
