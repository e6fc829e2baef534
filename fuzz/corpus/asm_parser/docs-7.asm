lxdw r0, [r1]           ; error: unknown mnemonic 'lxdw'
ja out                  ; error: no label is named 'out'
mov r11, 1              ; error: there is no register 'r11': they are r0 to r10
exit
