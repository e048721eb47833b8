package xz

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
)

// parts are those of a stream of one block without a check, as they are before
// their checksums.
type parts struct {
	flags, block, chunks, index, footer, magic []byte
}

func padded(p []byte) []byte { return append(p, make([]byte, -len(p)&3)...) }

// blockOf makes a block header, from its flags on.
func blockOf(fields ...byte) []byte {
	p := padded(append([]byte{0}, fields...))
	p[0] = byte(len(p) / 4)
	return p
}

func indexOf(count, unpadded, plain int) []byte {
	p := binary.AppendUvarint([]byte{0}, uint64(count))
	return padded(binary.AppendUvarint(binary.AppendUvarint(p, uint64(unpadded)), uint64(plain)))
}

// partsOf makes a stream of chunks of LZMA2. It believes the sizes in them.
func partsOf(chunks []byte, dict byte) parts {
	plain := 0
	for rest := chunks; len(rest) > 5 && rest[0] != 0; {
		size, packed := int(binary.BigEndian.Uint16(rest[1:]))+1, 0
		if rest[0] < 0x80 {
			packed = 3 + size
		} else {
			size += int(rest[0]&0x1f) << 16
			packed = 6 + int(binary.BigEndian.Uint16(rest[3:]))
			if rest[0] >= 0xc0 {
				packed++
			}
		}
		plain += size
		rest = rest[min(packed, len(rest)):]
	}
	p := parts{flags: []byte{0, 0}, block: blockOf(0, 0x21, 1, dict), chunks: append(chunks[:len(chunks):len(chunks)], 0), magic: footerMagic[:]}
	p.index = indexOf(1, len(p.block)+4+len(p.chunks), plain)
	p.footer = append(binary.LittleEndian.AppendUint32(nil, uint32(len(p.index)/4)), p.flags...)
	return p
}

// stream puts the parts together.
func (p parts) stream() []byte {
	sum := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	var out []byte
	for _, part := range [][]byte{headerMagic[:], p.flags, sum(p.flags), p.block, sum(p.block), padded(p.chunks),
		p.index, sum(p.index), sum(p.footer), p.footer, p.magic} {
		out = append(out, part...)
	}
	return out
}

// Every checksum of these streams holds.
func TestRefusesAStream(t *testing.T) {
	plain := append([]byte{1, 0, 4}, "hello"...)
	e := encoderOf(0, nil)
	lzma := e.chunk(func() { e.literal('a') })
	// After a plain chunk, or in its place, one of LZMA2 of a kind.
	chunk := func(before []byte, kind byte, props ...byte) func(*parts) {
		header := append([]byte{kind, 0, 0, 0, byte(len(lzma) - 1)}, props...)
		p := partsOf(append(append(before[:len(before):len(before)], header...), lzma...), 0)
		return func(to *parts) { *to = p }
	}
	for name, c := range map[string]struct {
		change func(*parts)
		want   error
	}{
		"good":                        {func(*parts) {}, nil},
		"good sizes":                  {func(p *parts) { p.block = blockOf(0xc0, 9, 5, 0x21, 1, 0) }, nil},
		"good LZMA":                   {chunk(nil, 0xe0, 0), nil},
		"good LZMA, after a chunk":    {chunk(plain, 0xc0, 0), nil},
		"good LZMA, after a reset":    {chunk(plain, 0xe0, 0), nil},
		"stream flags":                {func(p *parts) { p.flags = []byte{1, 0} }, ErrUnsupported},
		"stream flags, high":          {func(p *parts) { p.flags = []byte{0, 16} }, ErrUnsupported},
		"check":                       {func(p *parts) { p.flags = []byte{0, 2} }, ErrUnsupported},
		"block flags":                 {func(p *parts) { p.block = blockOf(4, 0x21, 1, 0) }, ErrUnsupported},
		"two filters":                 {func(p *parts) { p.block = blockOf(1, 3, 1, 0, 0x21, 1, 0) }, ErrUnsupported},
		"another filter":              {func(p *parts) { p.block = blockOf(0, 3, 1, 0) }, ErrUnsupported},
		"no filter":                   {func(p *parts) { p.block = blockOf(0xc0, 9, 5, 0x80, 0x80, 0x80, 0x80) }, ErrCorrupt},
		"properties of LZMA2":         {func(p *parts) { p.block = blockOf(0, 0x21, 1, 41) }, ErrCorrupt},
		"two properties of LZMA2":     {func(p *parts) { p.block = blockOf(0, 0x21, 2, 0, 0) }, ErrCorrupt},
		"properties that are missing": {func(p *parts) { p.block = []byte{1, 0x40, 9, 0x21} }, ErrCorrupt},
		"block padding":               {func(p *parts) { p.block = blockOf(0, 0x21, 1, 0, 0, 0, 1) }, ErrCorrupt},
		"the largest dictionary":      {func(p *parts) { p.block = blockOf(0, 0x21, 1, 40) }, ErrDictionary},
		"a number's empty byte":       {func(p *parts) { p.block = blockOf(0x40, 0x89, 0, 0x21, 1, 0) }, ErrCorrupt},
		"a packed size":               {func(p *parts) { p.block = blockOf(0x40, 10, 0x21, 1, 0) }, ErrCorrupt},
		"a plain size, large":         {func(p *parts) { p.block = blockOf(0x80, 6, 0x21, 1, 0) }, ErrCorrupt},
		"a plain size, small":         {func(p *parts) { p.block = blockOf(0x80, 4, 0x21, 1, 0) }, ErrCorrupt},
		"chunk 3":                     {func(p *parts) { p.chunks[0] = 3 }, ErrCorrupt},
		"chunk 127":                   {func(p *parts) { p.chunks[0] = 127 }, ErrCorrupt},
		"a chunk without dictionary":  {func(p *parts) { p.chunks[0] = 2 }, ErrCorrupt},
		"LZMA without dictionary":     {chunk(nil, 0xc0, 0), ErrCorrupt},
		"LZMA without properties":     {chunk(plain, 0xa0), ErrCorrupt},
		"LZMA without anything":       {chunk(plain, 0x80), ErrCorrupt},
		"lc and lp above 4":           {chunk(nil, 0xe0, 8), ErrCorrupt},
		"pb above 4":                  {chunk(nil, 0xe0, 225), ErrCorrupt},
		"index of two blocks":         {func(p *parts) { p.index = indexOf(2, 21, 5) }, ErrCorrupt},
		"index of another block":      {func(p *parts) { p.index = indexOf(1, 21, 6) }, ErrCorrupt},
		"index padding":               {func(p *parts) { p.index = append(p.index[:4:4], 0, 0, 0, 1) }, ErrCorrupt},
		"index, empty byte":           {func(p *parts) { p.index = []byte{0, 0x81, 0, 0, 0, 0, 0, 0} }, ErrCorrupt},
		"index, endless number":       {func(p *parts) { p.index = []byte{0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1} }, ErrCorrupt},
		"footer, size of the index":   {func(p *parts) { p.footer[0]++ }, ErrCorrupt},
		"footer, flags":               {func(p *parts) { p.footer[5] = 1 }, ErrCorrupt},
		"footer, magic":               {func(p *parts) { p.magic = []byte("ZY") }, ErrCorrupt},
	} {
		p := partsOf(plain, 0)
		c.change(&p)
		if _, err := unpacked(p.stream()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
