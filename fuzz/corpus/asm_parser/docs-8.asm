mov r10, 1              ; error: it writes r10, which can only be read
lsh r0, 64              ; error: it shifts 64 bits by 64
exit
