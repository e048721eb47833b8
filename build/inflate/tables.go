package inflate

import (
	"fmt"
	"math/bits"
	"sync"
)

// Tables are looked up by the next litBits or distBits bits. An entry has in its
// lowest six bits how many bits the symbol takes, those of the code and the
// extra ones, then
//
//	literal:          bits 16 to 23 the byte
//	length, distance: bits 8 to 11 the length of the code, from bit 16 on the base
//	other:            the end of a block, a table of longer codes, or no code
//
// A table of longer codes stands in the same array, from the entry's bits 16 on,
// and is looked up by as many further bits as its bits 8 to 11 say.
const (
	litBits  = 11
	litMask  = 1<<litBits - 1
	litSize  = 4096 // a complete code needs 2,342 at most
	distBits = 8
	distMask = 1<<distBits - 1
	distSize = 512 // a complete code needs 402 at most

	isLiteral = 1 << 31
	isOther   = 1 << 15
	isSub     = 1 << 14
	isEnd     = 1 << 13
	noCode    = isOther
)

type tables struct {
	lits  [litSize]uint32
	dists [distSize]uint32
}

const (
	maxCode  = 15
	litCodes = 286
	disCodes = 30
)

var (
	lengthBase = [...]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthBits = [...]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase   = [...]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	codeOrder  = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// litEntry is the entry of a literal, length or end-of-block symbol whose code
// has n bits.
func litEntry(symbol int, n uint) uint32 {
	switch {
	case symbol < 256:
		return isLiteral | uint32(symbol)<<16 | uint32(n)
	case symbol == 256:
		return isOther | isEnd | uint32(n)<<8 | uint32(n)
	case symbol < litCodes:
		i := symbol - 257
		return uint32(lengthBase[i])<<16 | uint32(n)<<8 | (uint32(n) + uint32(lengthBits[i]))
	}
	return noCode | uint32(n)<<8
}

func distEntry(symbol int, n uint) uint32 {
	if symbol >= disCodes {
		return noCode | uint32(n)<<8
	}
	extra := uint32(0)
	if symbol >= 4 {
		extra = uint32(symbol)/2 - 1
	}
	return uint32(distBase[symbol])<<16 | uint32(n)<<8 | (uint32(n) + extra)
}

// codeLength is how many bits the code of an entry has.
func codeLength(e uint32) uint {
	if e&isLiteral != 0 {
		return uint(e & 63)
	}
	return uint(e >> 8 & 15)
}

// build fills a table from the lengths of the symbols' codes. The code must be
// complete, but for one with a single symbol of one bit, or with none.
func build(table []uint32, main uint, lengths []uint8, entry func(symbol int, n uint) uint32) error {
	var count [maxCode + 1]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	var next [maxCode + 2]uint32
	code, symbols := uint32(0), 0
	for n := 1; n <= maxCode; n++ {
		next[n] = code
		code = (code + uint32(count[n])) << 1
		if code > 2<<n {
			return fmt.Errorf("%w: too many codes", ErrCorrupt)
		}
		symbols += count[n]
	}
	single := symbols == 1 && count[1] == 1
	if code != 2<<maxCode && symbols != 0 && !single {
		return fmt.Errorf("%w: an incomplete code", ErrCorrupt)
	}
	if symbols == 0 || single {
		for i := range table[:1<<main] {
			table[i] = noCode | 1<<8 // taken for a code of one bit
		}
	}
	// The longest code below each entry that leads to a further table.
	var longest [1 << litBits]uint8
	codes := next
	for _, n := range lengths {
		if n == 0 {
			continue
		}
		c := bits.Reverse32(codes[n]) >> (32 - n)
		codes[n]++
		if uint(n) > main {
			longest[c&(1<<main-1)] = max(longest[c&(1<<main-1)], n)
		}
	}
	free := uint32(1) << main
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		c := bits.Reverse32(next[n]) >> (32 - n)
		next[n]++
		e, width, start, size := entry(symbol, uint(n)), uint(n), uint32(0), uint32(1)<<main
		if uint(n) > main {
			prefix := c & (1<<main - 1)
			if more := uint(longest[prefix]) - main; longest[prefix] != 0 {
				if int(free)+1<<more > len(table) {
					return fmt.Errorf("%w: a code too large", ErrCorrupt)
				}
				table[prefix] = isOther | isSub | free<<16 | uint32(more)<<8
				free += 1 << more
				longest[prefix] = 0 // has its table
			}
			start, size, c, width = table[prefix]>>16, 1<<(table[prefix]>>8&15), c>>main, uint(n)-main
		}
		for i := c; i < size; i += 1 << width {
			table[start+i] = e
		}
	}
	return nil
}

// fixed are the tables of blocks that have none of their own.
var fixed = sync.OnceValue(func() *tables {
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	var d [32]uint8
	for i := range d {
		d[i] = 5
	}
	t := &tables{}
	if err := build(t.lits[:], litBits, lengths[:], litEntry); err != nil {
		panic(err)
	}
	if err := build(t.dists[:], distBits, d[:], distEntry); err != nil {
		panic(err)
	}
	return t
})

// dynamic reads the tables of a block.
func (r *Reader) dynamic() error {
	h, err := r.take(14)
	if err != nil {
		return err
	}
	lits, dists, codes := int(h&31)+257, int(h>>5&31)+1, int(h>>10)+4
	if lits > litCodes || dists > disCodes {
		return fmt.Errorf("%w: number of codes", ErrCorrupt)
	}
	var order [19]uint8
	for _, i := range codeOrder[:codes] {
		v, err := r.take(3)
		if err != nil {
			return err
		}
		order[i] = uint8(v)
	}
	const lengthCodeBits = 7
	var table [1 << lengthCodeBits]uint32
	if err := build(table[:], lengthCodeBits, order[:], func(symbol int, n uint) uint32 {
		return isLiteral | uint32(symbol)<<16 | uint32(n)
	}); err != nil {
		return err
	}
	var lengths [litCodes + disCodes]uint8
	for i := 0; i < lits+dists; {
		e, err := r.symbol(table[:], lengthCodeBits)
		if err != nil {
			return err
		}
		symbol := uint8(e >> 16)
		if symbol < 16 {
			lengths[i] = symbol
			i++
			continue
		}
		repeat, extra, value := 3, uint(2), uint8(0)
		switch symbol {
		case 16:
			if i == 0 {
				return fmt.Errorf("%w: nothing to repeat", ErrCorrupt)
			}
			value = lengths[i-1]
		case 17:
			extra = 3
		case 18:
			repeat, extra = 11, 7
		}
		more, err := r.take(extra)
		if err != nil {
			return err
		}
		repeat += int(more)
		if i+repeat > lits+dists {
			return fmt.Errorf("%w: too many lengths", ErrCorrupt)
		}
		for range repeat {
			lengths[i] = value
			i++
		}
	}
	if err := build(r.own.lits[:], litBits, lengths[:lits], litEntry); err != nil {
		return err
	}
	return build(r.own.dists[:], distBits, lengths[lits:lits+dists], distEntry)
}
