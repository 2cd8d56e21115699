# cmake -DFROM=x.spv -DTO=x.inc -P words.cmake: the 32-bit words of a SPIR-V file as a C initialiser.
file(READ ${FROM} bytes HEX)
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1," words "${bytes}")
string(REGEX REPLACE "(0x[0-9a-f]+,0x[0-9a-f]+,0x[0-9a-f]+,0x[0-9a-f]+,0x[0-9a-f]+,0x[0-9a-f]+,0x[0-9a-f]+,0x[0-9a-f]+,)" "\\1\n" words "${words}")
file(WRITE ${TO} "${words}\n")
