.slot buffer u8[513]    ; error: 'buffer' takes 513 bytes, and 512 of the 512 are left
exit
