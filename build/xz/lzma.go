package xz

import "encoding/binary"

// The terms are those of the LZMA specification (Igor Pavlov, public domain):
// a range coder whose bits have adaptive probabilities, literals under the
// context of the byte before, and matches by distance and length.

const (
	probInit  = 1 << 10 // of 1<<11: both bits as likely
	topValue  = 1 << 24
	matchMin  = 2
	states    = 12
	litStates = 7 // states below it follow a literal

	chunkPacked = 1 << 16 // bytes, at most, of a chunk
	inSize      = 1 << 17 // chunkPacked and what one symbol may read beyond it, as a power of two
	overrun     = 16      // bytes that a match may write beyond its end
)

// lengths decodes the length of a match.
type lengths struct {
	choice, choice2 uint16
	low, mid        [16][8]uint16
	high            [256]uint16
}

// model holds the probabilities and what the last symbols were. Arrays have the
// size of their index's type, so that no index needs a check.
type model struct {
	isMatch, isRep0Long              [256]uint16 // by state<<4 | position
	isRep, isRepG0, isRepG1, isRepG2 [16]uint16
	slot                             [4][64]uint16
	special                          [128]uint16
	align                            [16]uint16
	matchLen, repLen                 lengths
	literal                          [16 * 0x300]uint16

	state                  uint32
	rep0, rep1, rep2, rep3 uint32
	lc, lpMask, pbMask     uint32

	in [inSize]byte // the packed bytes of the chunk
}

func fill(probs []uint16) {
	for i := range probs {
		probs[i] = probInit
	}
}

// reset forgets everything but the properties.
func (m *model) reset() {
	m.state, m.rep0, m.rep1, m.rep2, m.rep3 = 0, 0, 0, 0, 0
	for _, probs := range [][]uint16{m.isMatch[:], m.isRep0Long[:], m.isRep[:], m.isRepG0[:], m.isRepG1[:], m.isRepG2[:],
		m.special[:], m.align[:], m.literal[:]} {
		fill(probs)
	}
	for i := range m.slot {
		fill(m.slot[i][:])
	}
	for _, l := range []*lengths{&m.matchLen, &m.repLen} {
		l.choice, l.choice2 = probInit, probInit
		for i := range l.low {
			fill(l.low[i][:])
			fill(l.mid[i][:])
		}
		fill(l.high[:])
	}
}

// properties sets lc, lp and pb from their byte.
func (m *model) properties(b byte) bool {
	if b >= 9*5*5 {
		return false
	}
	lc, lp, pb := uint32(b)%9, uint32(b)/9%5, uint32(b)/45
	if lc+lp > 4 {
		return false
	}
	m.lc, m.lpMask, m.pbMask = lc, 1<<lp-1, 1<<pb-1
	return true
}

// normalized reads a byte where the range has become small.
func normalized(rng, code, at uint32, in *[inSize]byte) (uint32, uint32, uint32) {
	if rng < topValue {
		return rng << 8, code<<8 | uint32(in[at%inSize]), at + 1
	}
	return rng, code, at
}

// bit decodes one bit without a branch, for bits that nobody can predict. zero
// is all ones where the bit is 0, else 0.
func bit(rng, code uint32, p uint16) (uint32, uint32, uint16, uint32) {
	bound := rng >> 11 * uint32(p)
	d := int64(code) - int64(bound)
	zero := uint32(d >> 63)
	rest := rng - bound
	return rest + (bound-rest)&zero, uint32(d) + bound&zero, p - uint16((int32(p)-int32(zero&2017))>>5), zero
}

// levels8 decodes a symbol by a tree of eight levels, and returns it with a 1
// before its bits. While one bit is decoded, both of the probabilities that the
// next may need are read. It is not inlined, because among the variables of
// decodePortable its own do not get registers.
//
//go:noinline
func levels8(tree *[256]uint16, rng, code, at uint32, in *[inSize]byte) (uint32, uint32, uint32, uint32) {
	var zero uint32
	symbol, p := uint32(1), tree[1]
	for symbol < 128 {
		if0, if1 := tree[symbol<<1%256], tree[(symbol<<1+1)%256]
		rng, code, at = normalized(rng, code, at, in)
		rng, code, tree[symbol%256], zero = bit(rng, code, p)
		p = if1 ^ (if0^if1)&uint16(zero)
		symbol = symbol<<1 + 1 + zero
	}
	rng, code, at = normalized(rng, code, at, in)
	rng, code, tree[symbol%256], zero = bit(rng, code, p)
	return symbol<<1 + 1 + zero, rng, code, at
}

// levels does the same by a tree of any size.
//
//go:noinline
func levels(tree []uint16, rng, code, at uint32, in *[inSize]byte) (uint32, uint32, uint32, uint32) {
	var zero uint32
	symbol, p := uint32(1), tree[1]
	for 2*symbol < uint32(len(tree)) {
		if0, if1 := tree[symbol<<1], tree[symbol<<1+1]
		rng, code, at = normalized(rng, code, at, in)
		rng, code, tree[symbol], zero = bit(rng, code, p)
		p = if1 ^ (if0^if1)&uint16(zero)
		symbol = symbol<<1 + 1 + zero
	}
	rng, code, at = normalized(rng, code, at, in)
	rng, code, tree[symbol], zero = bit(rng, code, p)
	return symbol<<1 + 1 + zero, rng, code, at
}

// matched decodes a literal that is not what stands at the last distance, match,
// whose bits choose the tree until one differs.
//
//go:noinline
func matched(tree *[0x300]uint16, match, rng, code, at uint32, in *[inSize]byte) (uint32, uint32, uint32, uint32) {
	var zero uint32
	symbol, offset := uint32(1), uint32(0x100)
	for symbol < 0x100 {
		match <<= 1
		expected := match & offset
		q := &tree[offset+expected+symbol]
		rng, code, at = normalized(rng, code, at, in)
		rng, code, *q, zero = bit(rng, code, *q)
		symbol = symbol<<1 + 1 + zero
		offset &= expected ^ zero
	}
	return symbol, rng, code, at
}

// decodePortable unpacks the chunk in m.in[:packed] to win[pos:end]. Bytes of
// win from first on may be referred to, by at most dict. It reports whether the
// chunk was valid. win has overrun bytes beyond end.
//
// It is long because the words of the range coder are handed from step to step.
func (m *model) decodePortable(win []byte, first, pos, end, packed int, dict uint32) bool {
	in := &m.in
	if packed < 5 || in[0] != 0 {
		return false
	}
	rng, code, at := ^uint32(0), binary.BigEndian.Uint32(in[1:5]), uint32(5)
	state, rep0, rep1, rep2, rep3 := m.state, m.rep0, m.rep1, m.rep2, m.rep3
	var zero uint32
	for pos < end {
		if int(at) > packed {
			return false
		}
		position := uint32(pos-first) & m.pbMask
		rng, code, at = normalized(rng, code, at, in)
		prob := &m.isMatch[uint8(state<<4|position)]
		bound := rng >> 11 * uint32(*prob)
		if code < bound {
			rng = bound
			*prob += (2048 - *prob) >> 5
			var before uint32
			if pos > first {
				before = uint32(win[pos-1])
			}
			context := (uint32(pos-first)&m.lpMask)<<m.lc | before>>(8-m.lc)
			var symbol uint32
			if state < litStates {
				symbol, rng, code, at = levels8((*[256]uint16)(m.literal[context*0x300:]), rng, code, at, in)
			} else {
				if uint64(rep0) >= uint64(pos-first) {
					return false
				}
				symbol, rng, code, at = matched((*[0x300]uint16)(m.literal[context*0x300:]), uint32(win[pos-int(rep0)-1]), rng, code, at, in)
			}
			win[pos] = byte(symbol)
			pos++
			switch {
			case state < 4:
				state = 0
			case state < 10:
				state -= 3
			default:
				state -= 6
			}
			continue
		}
		rng, code = rng-bound, code-bound
		*prob -= *prob >> 5

		var length uint32
		lens := &m.matchLen
		rng, code, at = normalized(rng, code, at, in)
		prob = &m.isRep[state%16]
		bound = rng >> 11 * uint32(*prob)
		repeated := code >= bound
		if !repeated {
			rng = bound
			*prob += (2048 - *prob) >> 5
		} else {
			rng, code = rng-bound, code-bound
			*prob -= *prob >> 5
			lens = &m.repLen
			rng, code, at = normalized(rng, code, at, in)
			prob = &m.isRepG0[state%16]
			bound = rng >> 11 * uint32(*prob)
			if code < bound {
				rng = bound
				*prob += (2048 - *prob) >> 5
				rng, code, at = normalized(rng, code, at, in)
				prob = &m.isRep0Long[uint8(state<<4|position)]
				bound = rng >> 11 * uint32(*prob)
				if code < bound {
					rng = bound
					*prob += (2048 - *prob) >> 5
					length = 1
				} else {
					rng, code = rng-bound, code-bound
					*prob -= *prob >> 5
				}
			} else {
				rng, code = rng-bound, code-bound
				*prob -= *prob >> 5
				rng, code, at = normalized(rng, code, at, in)
				prob = &m.isRepG1[state%16]
				bound = rng >> 11 * uint32(*prob)
				if code < bound {
					rng = bound
					*prob += (2048 - *prob) >> 5
					rep0, rep1 = rep1, rep0
				} else {
					rng, code = rng-bound, code-bound
					*prob -= *prob >> 5
					rng, code, at = normalized(rng, code, at, in)
					var q uint16
					rng, code, q, zero = bit(rng, code, m.isRepG2[state%16])
					m.isRepG2[state%16] = q
					if zero != 0 {
						rep0, rep1, rep2 = rep2, rep0, rep1
					} else {
						rep0, rep1, rep2, rep3 = rep3, rep0, rep1, rep2
					}
				}
			}
		}

		if length == 0 {
			rng, code, at = normalized(rng, code, at, in)
			bound = rng >> 11 * uint32(lens.choice)
			if code < bound {
				rng = bound
				lens.choice += (2048 - lens.choice) >> 5
				var symbol uint32
				symbol, rng, code, at = levels(lens.low[position%16][:], rng, code, at, in)
				length = symbol - 8 + matchMin
			} else {
				rng, code = rng-bound, code-bound
				lens.choice -= lens.choice >> 5
				rng, code, at = normalized(rng, code, at, in)
				bound = rng >> 11 * uint32(lens.choice2)
				if code < bound {
					rng = bound
					lens.choice2 += (2048 - lens.choice2) >> 5
					var symbol uint32
					symbol, rng, code, at = levels(lens.mid[position%16][:], rng, code, at, in)
					length = symbol - 8 + matchMin + 8
				} else {
					rng, code = rng-bound, code-bound
					lens.choice2 -= lens.choice2 >> 5
					var symbol uint32
					symbol, rng, code, at = levels8(&lens.high, rng, code, at, in)
					length = symbol - 0x100 + matchMin + 16
				}
			}
		}

		switch {
		case !repeated:
			rep1, rep2, rep3 = rep0, rep1, rep2
			var symbol uint32
			symbol, rng, code, at = levels(m.slot[min(length-matchMin, 3)][:], rng, code, at, in)
			slot := symbol - 64
			rep0 = slot
			if slot >= 4 {
				bits := slot>>1 - 1
				rep0 = (2 | slot&1) << bits
				if slot < 14 {
					base := rep0 - slot
					symbol = 1
					for i := uint32(0); i < bits; i++ {
						q := &m.special[(base+symbol)%128]
						rng, code, at = normalized(rng, code, at, in)
						rng, code, *q, zero = bit(rng, code, *q)
						symbol = symbol<<1 + 1 + zero
						rep0 += (1 + zero) << i
					}
				} else {
					var direct uint32
					for ; bits > 4; bits-- {
						rng, code, at = normalized(rng, code, at, in)
						rng >>= 1
						code -= rng
						zero = 0 - code>>31
						code += rng & zero
						direct = direct<<1 + 1 + zero
					}
					rep0 += direct << 4
					symbol = 1
					for i := 0; i < 4; i++ {
						q := &m.align[symbol%16]
						rng, code, at = normalized(rng, code, at, in)
						rng, code, *q, zero = bit(rng, code, *q)
						symbol = symbol<<1 + 1 + zero
						rep0 += (1 + zero) << i
					}
				}
			}
			if state < litStates {
				state = 7
			} else {
				state = 10
			}
		case length == 1:
			if state < litStates {
				state = 9
			} else {
				state = 11
			}
		default:
			if state < litStates {
				state = 8
			} else {
				state = 11
			}
		}

		distance, stop := int(rep0)+1, pos+int(length)
		if distance > pos-first || rep0 >= dict || stop > end {
			return false
		}
		from := pos - distance
		if distance >= 8 {
			for ; pos < stop; pos, from = pos+8, from+8 {
				binary.LittleEndian.PutUint64(win[pos:], binary.LittleEndian.Uint64(win[from:]))
			}
		} else {
			for ; pos < stop; pos, from = pos+1, from+1 {
				win[pos] = win[from]
			}
		}
		pos = stop
	}
	_, code, at = normalized(rng, code, at, in)
	if int(at) != packed || code != 0 {
		return false
	}
	m.state, m.rep0, m.rep1, m.rep2, m.rep3 = state, rep0, rep1, rep2, rep3
	return true
}
