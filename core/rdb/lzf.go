package rdb

// lzfLen is how many bytes src expands to, -1 if it ends in the middle of
// something. It follows the lengths alone: whether the distances lead into what
// is there, lzfExpand finds out.
func lzfLen(src []byte) int {
	in, out := 0, 0
	for in < len(src) {
		ctrl := int(src[in])
		in++
		if ctrl < 32 {
			in += ctrl + 1
			out += ctrl + 1
			continue
		}
		n := ctrl >> 5
		if n == 7 {
			if in == len(src) {
				return -1
			}
			n += int(src[in])
			in++
		}
		in++ // the distance
		out += n + 2
	}
	if in > len(src) {
		return -1
	}
	return out
}

// lzfExpand decompresses src into all of dst. It reports false if src is
// malformed or does not give exactly len(dst) bytes.
//
// A control byte below 32 is followed by that many literals and one. Any
// other holds a length in its top three bits (7: one more byte of it follows)
// and, with the byte after, a distance back into the output.
func lzfExpand(dst, src []byte) bool {
	in, out := 0, 0
	for in < len(src) {
		ctrl := int(src[in])
		in++
		if ctrl < 32 {
			n := ctrl + 1
			if in+n > len(src) || out+n > len(dst) {
				return false
			}
			copy(dst[out:], src[in:in+n])
			in += n
			out += n
			continue
		}
		n := ctrl >> 5
		if n == 7 {
			if in == len(src) {
				return false
			}
			n += int(src[in])
			in++
		}
		n += 2
		if in == len(src) {
			return false
		}
		from := out - (ctrl&0x1f)<<8 - int(src[in]) - 1
		in++
		if from < 0 || out+n > len(dst) {
			return false
		}
		for range n { // byte by byte: the two may overlap
			dst[out] = dst[from]
			out++
			from++
		}
	}
	return out == len(dst)
}
