package xz

import (
	"math/bits"
	"math/rand/v2"
)

// encoder packs the symbols that a test chooses, good ones or not, as the LZMA
// specification defines them. Of the decoder it shares only the layout of the
// probabilities, so that a test can compare them afterwards.
type encoder struct {
	*model
	win   []byte // the history, and what the symbols mean
	first int    // where the dictionary starts in it

	low     uint64
	rng     uint32
	cache   byte
	pending int
	out     []byte
}

// encoderOf makes an encoder for chunks with history before them.
func encoderOf(props byte, history []byte) *encoder {
	e := &encoder{model: new(model), win: history}
	if !e.properties(props) {
		panic("these properties are not valid")
	}
	e.reset()
	return e
}

// chunk returns what the symbols of encode are as a chunk.
func (e *encoder) chunk(encode func()) []byte {
	e.low, e.rng, e.cache, e.pending, e.out = 0, 1<<32-1, 0, 1, nil
	encode()
	e.normalize()
	for range 5 {
		e.shift()
	}
	return e.out
}

func (e *encoder) shift() {
	if e.low < 0xff<<24 || e.low >= 1<<32 {
		for ; e.pending > 0; e.pending-- {
			e.out = append(e.out, e.cache+byte(e.low>>32))
			e.cache = 0xff
		}
		e.cache = byte(e.low >> 24)
	}
	e.pending++
	e.low = e.low & 0xffffff << 8
}

func (e *encoder) normalize() {
	if e.rng < topValue {
		e.rng <<= 8
		e.shift()
	}
}

func (e *encoder) bit(p *uint16, b uint32) {
	e.normalize()
	bound := e.rng >> 11 * uint32(*p)
	if b == 0 {
		e.rng = bound
		*p += (2048 - *p) >> 5
		return
	}
	e.low += uint64(bound)
	e.rng -= bound
	*p -= *p >> 5
}

func (e *encoder) tree(probs []uint16, levels int, value uint32) {
	symbol := uint32(1)
	for i := levels - 1; i >= 0; i-- {
		b := value >> i & 1
		e.bit(&probs[symbol], b)
		symbol = symbol<<1 | b
	}
}

func (e *encoder) reverse(probs []uint16, levels int, value uint32) {
	symbol := uint32(1)
	for i := range levels {
		b := value >> i & 1
		e.bit(&probs[symbol], b)
		symbol = symbol<<1 | b
	}
}

func (e *encoder) direct(n int, value uint32) {
	for i := n - 1; i >= 0; i-- {
		e.normalize()
		e.rng >>= 1
		if value>>i&1 != 0 {
			e.low += uint64(e.rng)
		}
	}
}

func (e *encoder) position() uint32 { return uint32(len(e.win)-e.first) & e.pbMask }

// back is the byte before the d bytes before, as distances are coded; 0 where
// there is none.
func (e *encoder) back(d uint32) byte {
	if uint64(d) >= uint64(len(e.win)-e.first) {
		return 0
	}
	return e.win[len(e.win)-1-int(d)]
}

func (e *encoder) literal(b byte) {
	e.bit(&e.isMatch[e.state<<4|e.position()], 0)
	context := uint32(len(e.win)-e.first)&e.lpMask<<e.lc | uint32(e.back(0))>>(8-e.lc)
	probs := e.model.literal[context*0x300:][:0x300]
	if e.state < litStates {
		e.tree(probs, 8, uint32(b))
	} else {
		match, same, symbol := e.back(e.rep0), true, uint32(1)
		for i := 7; i >= 0; i-- {
			at, bit := symbol, uint32(b>>i&1)
			if same {
				at += 0x100 + uint32(match>>i&1)<<8
			}
			e.bit(&probs[at], bit)
			same = same && bit == uint32(match>>i&1)
			symbol = symbol<<1 | bit
		}
	}
	e.win = append(e.win, b)
	e.state = [states]uint32{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5}[e.state]
}

func (e *encoder) length(l *lengths, n int, position uint32) {
	switch n -= matchMin; {
	case n < 8:
		e.bit(&l.choice, 0)
		e.tree(l.low[position][:], 3, uint32(n))
	case n < 16:
		e.bit(&l.choice, 1)
		e.bit(&l.choice2, 0)
		e.tree(l.mid[position][:], 3, uint32(n-8))
	default:
		e.bit(&l.choice, 1)
		e.bit(&l.choice2, 1)
		e.tree(l.high[:], 8, uint32(n-16))
	}
}

// become sets the state to one of two, by whether a literal came before.
func (e *encoder) become(literal, match uint32) {
	if e.state < litStates {
		e.state = literal
	} else {
		e.state = match
	}
}

// repeat appends n bytes from the last distance. Where there are none, because
// the symbol is a bad one, it appends zeros.
func (e *encoder) repeat(n int) {
	for range n {
		e.win = append(e.win, e.back(e.rep0))
	}
}

// match is n bytes at a distance; 0 is that of the end marker.
func (e *encoder) match(distance, n int) {
	e.bit(&e.isMatch[e.state<<4|e.position()], 1)
	e.bit(&e.isRep[e.state], 0)
	e.length(&e.matchLen, n, e.position())
	d := uint32(distance - 1)
	slot, extra := d, 0
	if d >= 4 {
		extra = bits.Len32(d) - 2
		slot = uint32(extra+1)<<1 | d>>extra&1
	}
	e.tree(e.slot[min(n-matchMin, 3)][:], 6, slot)
	switch base := (2 | slot&1) << extra; {
	case slot < 4:
	case slot < 14:
		e.reverse(e.special[base-slot:], extra, d-base)
	default:
		e.direct(extra-4, (d-base)>>4)
		e.reverse(e.align[:], 4, d&15)
	}
	e.rep0, e.rep1, e.rep2, e.rep3 = d, e.rep0, e.rep1, e.rep2
	e.become(7, 10)
	e.repeat(n)
}

// again is a match at one of the last four distances.
func (e *encoder) again(which, n int) {
	e.bit(&e.isMatch[e.state<<4|e.position()], 1)
	e.bit(&e.isRep[e.state], 1)
	e.bit(&e.isRepG0[e.state], uint32(min(which, 1)))
	switch which {
	case 0:
		e.bit(&e.isRep0Long[e.state<<4|e.position()], 1)
	case 1:
		e.bit(&e.isRepG1[e.state], 0)
		e.rep0, e.rep1 = e.rep1, e.rep0
	case 2, 3:
		e.bit(&e.isRepG1[e.state], 1)
		e.bit(&e.isRepG2[e.state], uint32(which-2))
		last := &e.rep2
		if which == 3 {
			last = &e.rep3
		}
		d := *last
		*last = e.rep2
		e.rep0, e.rep1, e.rep2 = d, e.rep0, e.rep1
	}
	e.length(&e.repLen, n, e.position())
	e.become(8, 11)
	e.repeat(n)
}

// short is a single byte at the last distance.
func (e *encoder) short() {
	e.bit(&e.isMatch[e.state<<4|e.position()], 1)
	e.bit(&e.isRep[e.state], 1)
	e.bit(&e.isRepG0[e.state], 0)
	e.bit(&e.isRep0Long[e.state<<4|e.position()], 0)
	e.become(9, 11)
	e.repeat(1)
}

// any encodes symbols of every kind until the window has end bytes, or the chunk
// is nearly full. Distances are at most dict.
func (e *encoder) any(random *rand.Rand, dict, end int) {
	for len(e.win) < end && len(e.out) < chunkPacked-100 {
		reach, left := min(len(e.win)-e.first, dict), end-len(e.win)
		n := min(left, []int{2 + random.IntN(8), 10 + random.IntN(8), 18 + random.IntN(256)}[random.IntN(3)])
		kind := random.IntN(10)
		switch {
		case reach > 0 && kind == 0:
			e.short()
		case reach > 0 && n >= matchMin && kind < 3:
			e.again(random.IntN(4), n)
		case reach > 0 && n >= matchMin && kind < 6:
			e.match(1+random.IntN(min(reach, 1<<random.IntN(bits.Len(uint(reach))+1))), n)
		case reach > 0 && kind < 9: // differs from the byte at the last distance in one bit, or in none
			e.literal(e.back(e.rep0) ^ byte(1<<random.IntN(9)))
		default:
			e.literal(byte(random.Uint32()))
		}
	}
}
