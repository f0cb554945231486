// Package packed owns two of Redis's formats for small collections: listpack
// and intset. The keyspace keeps small collections in them and the RDB format
// carries them, so that neither has to translate for the other.
//
// It owns the bytes: reading, building, and what an insertion or removal looks
// like as a splice of bytes. It refuses to know what a collection is, where
// its bytes live and when they may be written: it never allocates but by
// appending to what it is given. [CheckListpack] and [CheckIntset] take any
// bytes; everything else takes only what these have accepted, or what this
// package has built.
//
//	listpack  total:uint32le count:uint16le (entry backlen)* FF
//	intset    width:uint32le count:uint32le integer*count
//
// A listpack's count is 65535 when there are as many entries or more. A
// backlen repeats the size of its entry, seven bits a byte, so that one can
// walk backwards. An entry is a string or an integer:
//
//	0xxxxxxx                    0 to 127
//	110xxxxx xxxxxxxx           13 bits, signed
//	F1, F2, F3, F4              16, 24, 32, 64 bits, signed, little endian
//	10llllll                    string of up to 63 bytes
//	1110llll llllllll           up to 4095 bytes
//	F0 length:uint32le          longer
//
// An integer's text is the shortest there is, and a string that is such a text
// is stored as the integer. So two entries are equal when their bytes are:
// listpacks of which that is true are called canonical, and all that this
// package builds are.
//
// An intset's integers are ascending, all 2, 4 or 8 bytes wide.
package packed
