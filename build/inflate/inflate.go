// Package inflate unpacks gzip (RFC 1952), members after members, and the
// DEFLATE stream in them (RFC 1951). Indexes, the programs that go into images
// and the segments of layers are gzip, and reading them is a good part of what
// building an image costs, which is why the decoder is the project's own.
//
// Nothing in a stream is believed: code tables must be complete, distances must
// stay in what was unpacked, and each member's checksum and size are compared.
// Memory does not depend on the stream.
package inflate

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Errors that a caller can tell apart. A stream that ends early is
// io.ErrUnexpectedEOF.
var (
	ErrFormat  = errors.New("not a gzip stream")
	ErrCorrupt = errors.New("damaged gzip stream")
)

const (
	history   = 32 << 10 // bytes that a match may reach back
	winSize   = 256 << 10
	inSize    = 64 << 10
	longest   = 258 // bytes of a match
	overrun   = 16  // bytes that a match may write beyond its end
	lookahead = 16  // bytes of input that the fast loop wants
)

// Reader unpacks a stream.
type Reader struct {
	src io.Reader
	err error

	in      []byte // of inSize
	at, end int    // of what was read and not taken
	eof     bool   // src has no more
	bits    uint64 // taken and not consumed, and zeros
	n       uint   // of bits
	win     []byte
	pos     int // up to where win is unpacked
	read    int // up to where the caller has had win

	state  state
	began  int    // where the member begins in win, or 0
	crc    uint32 // of the member
	size   uint32 // of the member, modulo 2^32
	summed int    // up to where win is in crc
	last   bool   // block of the member
	stored int    // bytes left of a stored block
	lits   *[litSize]uint32
	dists  *[distSize]uint32
	own    *tables
}

type state uint8

const (
	inHeader state = iota // of a member
	inBlock               // before the header of a block
	inStored
	inCodes
	inTrailer
)

// NewReader reads the header of the first member.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{in: make([]byte, inSize), win: make([]byte, winSize+longest+overrun), own: &tables{}}
	if err := r.Reset(src); err != nil {
		return nil, err
	}
	return r, nil
}

// Reset makes the Reader read another stream, whose first header it reads.
func (r *Reader) Reset(src io.Reader) error {
	*r = Reader{src: src, in: r.in, win: r.win, own: r.own}
	if r.err = r.header(); errors.Is(r.err, io.EOF) {
		r.err = io.ErrUnexpectedEOF
	}
	return r.err
}

// Close makes Read fail. It does not close the underlying reader.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = errors.New("read from a closed gzip reader")
	}
	return nil
}

// Read implements io.Reader. io.EOF comes only after every checksum held.
func (r *Reader) Read(p []byte) (int, error) {
	for r.read == r.pos {
		if r.err != nil {
			return 0, r.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		r.err = r.more()
	}
	n := copy(p, r.win[r.read:r.pos])
	r.read += n
	return n, nil
}

// WriteTo implements io.WriterTo.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if r.read < r.pos {
			n, err := w.Write(r.win[r.read:r.pos])
			total += int64(n)
			r.read += n
			if err != nil {
				return total, err
			}
			continue
		}
		if errors.Is(r.err, io.EOF) {
			return total, nil
		}
		if r.err != nil {
			return total, r.err
		}
		r.err = r.more()
	}
}

// more unpacks until win is full or a member ends.
func (r *Reader) more() error {
	if r.pos >= winSize {
		r.slide()
	}
	err := r.step()
	r.sum()
	if errors.Is(err, io.EOF) && r.state != inHeader {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// slide keeps what matches may refer to.
func (r *Reader) slide() {
	copy(r.win, r.win[r.pos-history:r.pos])
	r.began = max(0, r.began-(r.pos-history))
	r.pos, r.read, r.summed = history, history, history
}

// sum adds what was unpacked to the member's checksum.
func (r *Reader) sum() {
	part := r.win[r.summed:r.pos]
	r.crc, r.size, r.summed = crc32.Update(r.crc, crc32.IEEETable, part), r.size+uint32(len(part)), r.pos
}

func (r *Reader) step() error {
	for r.pos < winSize {
		var err error
		switch r.state {
		case inHeader:
			return r.header()
		case inBlock:
			err = r.block()
		case inStored:
			err = r.copyStored()
		case inCodes:
			err = r.codes()
		case inTrailer:
			r.sum()
			err = r.trailer()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fill reads more input. It reports io.EOF only if there is none at all.
func (r *Reader) fill() error {
	if r.eof {
		return io.EOF
	}
	copy(r.in, r.in[r.at:r.end])
	r.end -= r.at
	r.at = 0
	for empty := 0; ; empty++ {
		n, err := r.src.Read(r.in[r.end:])
		r.end += n
		if n > 0 {
			return nil // an error comes again
		}
		if errors.Is(err, io.EOF) {
			r.eof = true
			return io.EOF
		}
		if err != nil {
			return err
		}
		if empty == 100 {
			return io.ErrNoProgress
		}
	}
}

// need makes sure of k bits, at most 48.
func (r *Reader) need(k uint) error {
	for r.n < k {
		if r.at == r.end {
			if err := r.fill(); err != nil {
				return err
			}
		}
		r.bits |= uint64(r.in[r.at]) << r.n
		r.at++
		r.n += 8
	}
	return nil
}

func (r *Reader) take(k uint) (uint32, error) {
	if err := r.need(k); err != nil {
		return 0, err
	}
	v := uint32(r.bits & (1<<k - 1))
	r.bits >>= k
	r.n -= k
	return v, nil
}

// align drops the bits before the next byte. There are none but whole bytes in
// bits afterwards.
func (r *Reader) align() { r.bits, r.n = r.bits>>(r.n&7), r.n&^7 }

func (r *Reader) byte() (byte, error) {
	v, err := r.take(8)
	return byte(v), err
}

// header reads that of a member. io.EOF means that there is none.
func (r *Reader) header() error {
	if err := r.need(8); err != nil {
		return err
	}
	err := r.member()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	r.state, r.began, r.summed, r.crc, r.size = inBlock, r.pos, r.pos, 0, 0
	return err
}

const (
	flagCRC     = 1 << 1
	flagExtra   = 1 << 2
	flagName    = 1 << 3
	flagComment = 1 << 4
)

func (r *Reader) member() error {
	var h [10]byte
	sum := uint32(0)
	next := func() (byte, error) {
		b, err := r.byte()
		sum = crc32.Update(sum, crc32.IEEETable, []byte{b})
		return b, err
	}
	for i := range h {
		b, err := next()
		if err != nil {
			return err
		}
		h[i] = b
	}
	if h[0] != 0x1f || h[1] != 0x8b || h[2] != 8 {
		return ErrFormat
	}
	flags := h[3]
	if flags&flagExtra != 0 {
		low, err := next()
		if err != nil {
			return err
		}
		high, err := next()
		if err != nil {
			return err
		}
		for range int(high)<<8 | int(low) {
			if _, err := next(); err != nil {
				return err
			}
		}
	}
	for _, flag := range []byte{flagName, flagComment} {
		if flags&flag == 0 {
			continue
		}
		for length := 0; ; length++ {
			b, err := next()
			if err != nil {
				return err
			}
			if b == 0 {
				break
			}
			if length > inSize {
				return fmt.Errorf("%w: a name in the header", ErrCorrupt)
			}
		}
	}
	if flags&flagCRC != 0 {
		want := sum & 0xffff
		have, err := r.take(16)
		if err != nil {
			return err
		}
		if have != want {
			return fmt.Errorf("%w: checksum of the header", ErrCorrupt)
		}
	}
	return nil
}

func (r *Reader) trailer() error {
	r.align()
	crc, err := r.take(32)
	if err != nil {
		return err
	}
	size, err := r.take(32)
	if err != nil {
		return err
	}
	if crc != r.crc || size != r.size {
		return fmt.Errorf("%w: checksum or size", ErrCorrupt)
	}
	r.state = inHeader
	return nil
}

// block reads the header of a block.
func (r *Reader) block() error {
	h, err := r.take(3)
	if err != nil {
		return err
	}
	r.last = h&1 != 0
	switch h >> 1 {
	case 0:
		r.align()
		length, err := r.take(16)
		if err != nil {
			return err
		}
		inverse, err := r.take(16)
		if err != nil {
			return err
		}
		if length != ^inverse&0xffff {
			return fmt.Errorf("%w: length of a stored block", ErrCorrupt)
		}
		r.state, r.stored = inStored, int(length)
	case 1:
		r.state, r.lits, r.dists = inCodes, &fixed().lits, &fixed().dists
	case 2:
		if err := r.dynamic(); err != nil {
			return err
		}
		r.state, r.lits, r.dists = inCodes, &r.own.lits, &r.own.dists
	default:
		return fmt.Errorf("%w: kind of a block", ErrCorrupt)
	}
	return nil
}

func (r *Reader) endBlock() {
	r.state = inBlock
	if r.last {
		r.state = inTrailer
	}
}

func (r *Reader) copyStored() error {
	for r.stored > 0 && r.n > 0 && r.pos < winSize { // whole bytes
		r.win[r.pos] = byte(r.bits)
		r.bits, r.n, r.pos, r.stored = r.bits>>8, r.n-8, r.pos+1, r.stored-1
	}
	for r.stored > 0 && r.pos < winSize {
		if r.at == r.end {
			if err := r.fill(); err != nil {
				return err
			}
		}
		n := copy(r.win[r.pos:winSize], r.in[r.at:min(r.end, r.at+r.stored)])
		r.at, r.pos, r.stored = r.at+n, r.pos+n, r.stored-n
	}
	if r.stored == 0 {
		r.endBlock()
	}
	return nil
}
