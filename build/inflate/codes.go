package inflate

import (
	"encoding/binary"
	"errors"
	"io"
)

// codes unpacks symbols until the block ends or win is full.
func (r *Reader) codes() error {
	for r.pos < winSize {
		if r.end-r.at < lookahead && !r.eof {
			if err := r.fill(); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		if r.end-r.at >= lookahead {
			done, ok := r.fast()
			if !ok {
				return ErrCorrupt
			}
			if done {
				r.endBlock()
				return nil
			}
			continue
		}
		done, err := r.careful()
		if err != nil {
			return err
		}
		if done {
			r.endBlock()
			return nil
		}
	}
	return nil
}

// fast unpacks symbols while there is input to look ahead at and room in win,
// which has longest and overrun bytes beyond winSize. done means that the block
// ended.
func (r *Reader) fast() (done, ok bool) {
	lits, dists := r.lits, r.dists
	in, at, win, pos := r.in[:r.end], r.at, r.win, r.pos
	bits, n := r.bits, r.n
	lastAt := r.end - lookahead
	for pos < winSize && at <= lastAt {
		// At least 56 bits. Those above n are in[at:] too, and come again.
		bits |= binary.LittleEndian.Uint64(in[at:]) << (n & 63)
		at += int((63 - n) >> 3)
		n |= 56
		e := lits[bits&litMask]
		if e&isLiteral != 0 {
			bits >>= e & 63
			n -= uint(e & 63)
			win[pos] = byte(e >> 16)
			pos++
			if e = lits[bits&litMask]; e&isLiteral != 0 {
				bits >>= e & 63
				n -= uint(e & 63)
				win[pos] = byte(e >> 16)
				pos++
				if e = lits[bits&litMask]; e&isLiteral != 0 {
					bits >>= e & 63
					n -= uint(e & 63)
					win[pos] = byte(e >> 16)
					pos++
					continue
				}
			}
			bits |= binary.LittleEndian.Uint64(in[at:]) << (n & 63)
			at += int((63 - n) >> 3)
			n |= 56
		}
		if e&isOther != 0 {
			if e&isSub != 0 {
				e = lits[(e>>16+uint32(bits>>litBits)&(1<<(e>>8&15)-1))&(litSize-1)]
				if e&isLiteral != 0 {
					bits >>= e & 63
					n -= uint(e & 63)
					win[pos] = byte(e >> 16)
					pos++
					continue
				}
			}
			if e&isOther != 0 {
				if e&isEnd == 0 {
					return false, false
				}
				bits >>= e & 63
				n -= uint(e & 63)
				done = true
				break
			}
		}
		length := int(e>>16) + int(uint32(bits&(1<<(e&63)-1))>>(e>>8&15))
		bits >>= e & 63
		n -= uint(e & 63)

		e = dists[bits&distMask]
		if e&isOther != 0 {
			if e&isSub == 0 {
				return false, false
			}
			if e = dists[(e>>16+uint32(bits>>distBits)&(1<<(e>>8&15)-1))&(distSize-1)]; e&isOther != 0 {
				return false, false
			}
		}
		dist := int(e>>16) + int(uint32(bits&(1<<(e&63)-1))>>(e>>8&15))
		bits >>= e & 63
		n -= uint(e & 63)
		from := pos - dist
		if from < r.began {
			return false, false
		}
		end := pos + length
		switch {
		case dist >= 8:
			for {
				binary.LittleEndian.PutUint64(win[pos:], binary.LittleEndian.Uint64(win[from:]))
				pos, from = pos+8, from+8
				if pos >= end {
					break
				}
			}
		case dist == 1:
			word := uint64(win[from]) * 0x0101010101010101
			for ; pos < end; pos += 8 {
				binary.LittleEndian.PutUint64(win[pos:], word)
			}
		default:
			for ; pos < end; pos++ {
				win[pos] = win[from]
				from++
			}
		}
		pos = end
	}
	r.at, r.pos, r.bits, r.n = at, pos, bits&(1<<(n&63)-1), n
	return done, true
}

// careful unpacks one symbol, near the end of the input.
func (r *Reader) careful() (done bool, err error) {
	e, err := r.symbol(r.lits[:], litBits)
	if err != nil {
		return false, err
	}
	switch {
	case e&isLiteral != 0:
		r.win[r.pos] = byte(e >> 16)
		r.pos++
		return false, nil
	case e&isEnd != 0:
		return true, nil
	}
	length, err := r.value(e)
	if err != nil {
		return false, err
	}
	if e, err = r.symbol(r.dists[:], distBits); err != nil {
		return false, err
	}
	dist, err := r.value(e)
	if err != nil {
		return false, err
	}
	if r.pos-dist < r.began {
		return false, ErrCorrupt
	}
	for range length {
		r.win[r.pos] = r.win[r.pos-dist]
		r.pos++
	}
	return false, nil
}

// symbol decodes one code and consumes it, without the extra bits after it.
func (r *Reader) symbol(table []uint32, main uint) (uint32, error) {
	for {
		e := table[r.bits&(1<<main-1)]
		if e&isSub != 0 {
			e = table[e>>16+uint32(r.bits>>main)&(1<<(e>>8&15)-1)]
		}
		if code := codeLength(e); code <= r.n {
			if e&isOther != 0 && e&isEnd == 0 {
				return 0, ErrCorrupt
			}
			r.bits >>= code
			r.n -= code
			return e, nil
		}
		if err := r.need(r.n + 1); err != nil {
			return 0, err
		}
	}
}

// value is a length or distance, with the extra bits that follow the code.
func (r *Reader) value(e uint32) (int, error) {
	extra, err := r.take(uint(e&63) - codeLength(e))
	return int(e>>16) + int(extra), err
}
