package wire

// huffSymbols lists the octets in the order of their codes. HPACK's Huffman
// code (RFC 7541 appendix B) is canonical: codes of one length are consecutive
// numbers, so the number of codes of each length is all else it takes.
const huffSymbols = "" +
	"\x30\x31\x32\x61\x63\x65\x69\x6f\x73\x74\x20\x25\x2d\x2e\x2f\x33" +
	"\x34\x35\x36\x37\x38\x39\x3d\x41\x5f\x62\x64\x66\x67\x68\x6c\x6d" +
	"\x6e\x70\x72\x75\x3a\x42\x43\x44\x45\x46\x47\x48\x49\x4a\x4b\x4c" +
	"\x4d\x4e\x4f\x50\x51\x52\x53\x54\x55\x56\x57\x59\x6a\x6b\x71\x76" +
	"\x77\x78\x79\x7a\x26\x2a\x2c\x3b\x58\x5a\x21\x22\x28\x29\x3f\x27" +
	"\x2b\x7c\x23\x3e\x00\x24\x40\x5b\x5d\x7e\x5e\x7d\x3c\x60\x7b\x5c" +
	"\xc3\xd0\x80\x82\x83\xa2\xb8\xc2\xe0\xe2\x99\xa1\xa7\xac\xb0\xb1" +
	"\xb3\xd1\xd8\xd9\xe3\xe5\xe6\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0" +
	"\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8" +
	"\xe9\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d" +
	"\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5\xe7\xef\x09\x8e" +
	"\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed\xc7\xcf\xea\xeb\xc0\xc1" +
	"\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff\xcb\xcc\xd3" +
	"\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe" +
	"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14" +
	"\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f\xdc\xf9\x0a\x0d\x16"

// huffCounts holds the number of codes of each length in bits, from 0 to 30. The
// last code of 30 bits is the end-of-string symbol, which must not occur. A
// string because the linker puts that near huffSymbols, an array elsewhere.
const huffCounts = "\x00\x00\x00\x00\x00\x0a\x1a\x20\x06\x00\x05\x03\x02\x06\x02\x03" +
	"\x00\x00\x00\x03\x08\x0d\x1a\x1d\x0c\x04\x0f\x13\x1d\x00\x04"

// huffman decodes src into dst and returns the decoded length, which may
// exceed len(dst): what does not fit is counted and dropped. Padding longer
// than 7 bits or with a zero bit, and the end-of-string symbol, are errors
// (RFC 7541 section 5.2).
func huffman(dst, src []byte) (n int, ok bool) {
	code, length := uint32(0), 0
	first, index := uint32(0), 0
	ones := true
	for _, c := range src {
		for bit := 7; bit >= 0; bit-- {
			b := uint32(c>>bit) & 1
			ones = ones && b == 1
			code = code<<1 | b
			length++
			first <<= 1
			if length > 30 {
				return n, false
			}
			count := uint32(huffCounts[length])
			if code-first < count {
				symbol := index + int(code-first)
				if symbol >= len(huffSymbols) {
					return n, false
				}
				if n < len(dst) {
					dst[n] = huffSymbols[symbol]
				}
				n++
				code, length, first, index, ones = 0, 0, 0, 0, true
				continue
			}
			first += count
			index += int(count)
		}
	}
	return n, length < 8 && ones
}

// header is one decoded header field, cut off at the size of its buffers; the
// fields a probe looks at are shorter.
type header struct {
	name, value       [64]byte
	nameLen, valueLen int
}

// integer decodes an HPACK integer with the given prefix size in bits (RFC
// 7541 section 5.1) and returns the bytes used, 0 if it is malformed.
//
//go:noinline
func integer(b []byte, prefix int) (v, used int) {
	if len(b) == 0 {
		return 0, 0
	}
	mask := 1<<prefix - 1
	v = int(b[0]) & mask
	if v < mask {
		return v, 1
	}
	for i := 1; i < len(b) && i < 5; i++ {
		v += int(b[i]&0x7f) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}

// text decodes an HPACK string literal into dst and returns its length, cut
// off at len(dst), and the bytes used, 0 if it is malformed.
//
//go:noinline
func text(dst, b []byte) (n, used int) {
	size, head := integer(b, 7)
	if head == 0 || size > len(b)-head {
		return 0, 0
	}
	raw := b[head : head+size]
	if b[0]&0x80 == 0 {
		return copy(dst, raw), head + size
	}
	n, ok := huffman(dst, raw)
	if !ok {
		return 0, 0
	}
	return min(n, len(dst)), head + size
}

// next decodes one representation of a header block and returns the bytes it
// used, 0 if it is malformed. field says whether it was a header field, in h;
// the alternative is a change of the dynamic table's size. The table's size is
// zero, as announced in the preface, so an index beyond the static table and a
// size above zero are errors.
func (h *header) next(b []byte) (used int, field bool) {
	h.nameLen, h.valueLen = 0, 0
	c := b[0]
	prefix := 4
	switch {
	case c&0x80 != 0:
		index, n := integer(b, 7)
		if n == 0 || !h.static(index) {
			return 0, false
		}
		return n, true
	case c&0xe0 == 0x20:
		size, n := integer(b, 5)
		if size != 0 {
			return 0, false
		}
		return n, false
	case c&0x40 != 0:
		prefix = 6
	}
	index, used := integer(b, prefix)
	if used == 0 {
		return 0, false
	}
	if index != 0 {
		if !h.static(index) {
			return 0, false
		}
	} else {
		n, more := text(h.name[:], b[used:])
		if more == 0 {
			return 0, false
		}
		h.nameLen, used = n, used+more
	}
	n, more := text(h.value[:], b[used:])
	if more == 0 {
		return 0, false
	}
	h.valueLen = n
	return used + more, true
}

// static loads an entry of the static table (RFC 7541 appendix A), as far as
// the probe looks at it: :status, content-type, or an entry of no interest.
//
//go:noinline
func (h *header) static(index int) bool {
	name, value := "-", ""
	switch {
	case index < 1 || index > 61:
		return false
	case index >= 8 && index <= 14:
		const codes = "200204206304400404500"
		name, value = ":status", codes[(index-8)*3:(index-7)*3]
	case index == 31:
		name = "content-type"
	}
	h.nameLen, h.valueLen = copy(h.name[:], name), copy(h.value[:], value)
	return true
}

// putInteger appends an HPACK integer whose first byte already holds pattern.
//
//go:noinline
func putInteger(w *Buffer, pattern byte, prefix, v int) {
	mask := 1<<prefix - 1
	if v < mask {
		w.Byte(pattern | byte(v))
		return
	}
	w.Byte(pattern | byte(mask))
	for v -= mask; v >= 0x80; v >>= 7 {
		w.Byte(byte(v) | 0x80)
	}
	w.Byte(byte(v))
}

// putText appends s as a plain HPACK string literal.
//
//go:noinline
func putText(w *Buffer, s string) {
	putInteger(w, 0, 7, len(s))
	w.Str(s)
}

// putField appends a literal field without indexing whose name is entry index
// of the static table.
//
//go:noinline
func putField(w *Buffer, index int, value string) {
	putInteger(w, 0, 4, index)
	putText(w, value)
}
