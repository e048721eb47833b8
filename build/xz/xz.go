// Package xz decodes the XZ format, version 1.2.1, with the one filter that
// matters, LZMA2. Debian packages and indexes are xz files, and unpacking them
// is most of what building an image costs, which is why the decoder is the
// project's own.
//
// Nothing in a stream is believed: checksums of headers, blocks and the index
// are compared, the dictionary is bounded by the caller, and memory grows with
// what was really unpacked, not with what a header announces; what the caller
// expects saves only the first steps.
package xz

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"sync"
)

// Errors that a caller can tell apart. A stream that ends early is
// io.ErrUnexpectedEOF.
var (
	ErrFormat      = errors.New("not an xz stream")
	ErrCorrupt     = errors.New("damaged xz stream")
	ErrUnsupported = errors.New("unsupported xz stream")
	ErrDictionary  = errors.New("dictionary too large")
)

const (
	headerSize = 12 // of a stream, and of its footer
	window     = 1 << 20
	chunkPlain = 1 << 21 // bytes, at most, of a chunk
	dictFloor  = 1 << 12
	recordSize = 16
)

var (
	headerMagic = [6]byte{0xfd, '7', 'z', 'X', 'Z', 0}
	footerMagic = [2]byte{'Y', 'Z'}
	crc64Table  = crc64.MakeTable(crc64.ECMA)
	models      = sync.Pool{New: func() any { return new(model) }}
	windows     sync.Pool // of *[]byte, so that a package after the other needs no new one
)

// Reader unpacks one or more xz streams, one after the other.
type Reader struct {
	src     *bufio.Reader
	counted int64 // bytes of src that were consumed
	dictMax int
	err     error

	flags     byte      // check of the current stream
	check     hash.Hash // of the current block; nil where there is none
	checkSize int
	blocks    int64
	records   hash.Hash // of the blocks, to compare with the index
	block     block

	m        *model
	expected int // bytes
	win      []byte
	first    int // where the dictionary starts in win
	read     int // up to where the caller has had win
	pos      int // up to where win is unpacked
	dict     int
}

// block is where a block stands.
type block struct {
	open                bool
	start               int64 // counted at the block's header
	header              int64 // bytes
	packed, plain       int64 // bytes announced; -1 where nothing is
	unpacked            int64
	needDict, needProps bool
}

// NewReader reads the header of the first stream. A stream whose dictionary has
// more than dictMax bytes is refused with ErrDictionary. Close gives the
// Reader's memory back.
func NewReader(src io.Reader, dictMax int) (*Reader, error) {
	r := &Reader{src: bufio.NewReaderSize(src, 32<<10), dictMax: dictMax, records: sha256.New()}
	var header [headerSize]byte
	if _, err := io.ReadFull(r.src, header[:]); err != nil {
		return nil, fmt.Errorf("read the stream header: %w", noEOF(err))
	}
	if err := r.stream(header[:]); err != nil {
		return nil, err
	}
	r.m = models.Get().(*model)
	return r, nil
}

// maxExpected bounds what is believed of Expect, in bytes.
const maxExpected = 16 << 20

// Expect says how much there may be to unpack, in bytes, before the first Read:
// room for it is made at once. It is no promise.
func (r *Reader) Expect(n int64) { r.expected = int(min(max(n, 0), maxExpected)) }

// Close releases the Reader's memory, not the underlying reader. Read fails
// afterwards.
func (r *Reader) Close() error {
	if r.m != nil {
		models.Put(r.m)
		if r.win != nil {
			win := r.win // the field is about to be cleared
			windows.Put(&win)
		}
		r.m, r.win, r.err = nil, nil, errors.New("read from a closed xz reader")
		r.first, r.read, r.pos = 0, 0, 0
	}
	return nil
}

// Read implements io.Reader. io.EOF comes only after every checksum held.
func (r *Reader) Read(p []byte) (int, error) {
	for r.read == r.pos && r.err == nil {
		if len(p) == 0 {
			return 0, nil
		}
		r.err = r.next()
	}
	if r.read == r.pos {
		return 0, r.err
	}
	n := copy(p, r.win[r.read:r.pos])
	r.read += n
	return n, nil
}

// next unpacks a chunk, or whatever else stands there.
func (r *Reader) next() error {
	if r.block.open {
		return r.chunk()
	}
	size, err := r.byte()
	if err != nil {
		return err
	}
	if size != 0 {
		return r.openBlock(size)
	}
	if err := r.index(); err != nil {
		return err
	}
	return r.following()
}

func (r *Reader) byte() (byte, error) {
	b, err := r.src.ReadByte()
	r.counted++
	return b, noEOF(err)
}

func (r *Reader) full(p []byte) error {
	_, err := io.ReadFull(r.src, p)
	r.counted += int64(len(p))
	return noEOF(err)
}

// stream takes the header of a stream.
func (r *Reader) stream(header []byte) error {
	if [6]byte(header) != headerMagic {
		return ErrFormat
	}
	if crc32.ChecksumIEEE(header[6:8]) != binary.LittleEndian.Uint32(header[8:]) {
		return fmt.Errorf("%w: checksum of the stream header", ErrCorrupt)
	}
	if header[6] != 0 || header[7] > 15 {
		return fmt.Errorf("%w: stream flags %x", ErrUnsupported, header[6:8])
	}
	r.flags, r.blocks = header[7], 0
	r.records.Reset()
	switch r.flags {
	case 0:
		r.check = nil
	case 1:
		r.check = crc32.NewIEEE()
	case 4:
		r.check = crc64.New(crc64Table)
	case 10:
		r.check = sha256.New()
	default:
		return fmt.Errorf("%w: check %d", ErrUnsupported, r.flags)
	}
	r.checkSize = 0
	if r.check != nil {
		r.checkSize = r.check.Size()
	}
	return nil
}

// openBlock reads the header of a block, whose first byte is there already.
func (r *Reader) openBlock(size byte) error {
	start := r.counted - 1
	header := make([]byte, (int(size)+1)*4)
	header[0] = size
	if err := r.full(header[1:]); err != nil {
		return fmt.Errorf("read a block header: %w", err)
	}
	body := header[:len(header)-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(header[len(body):]) {
		return fmt.Errorf("%w: checksum of a block header", ErrCorrupt)
	}
	b, dict, err := parseBlock(body)
	if err != nil {
		return err
	}
	if dict > int64(r.dictMax) {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrDictionary, dict, r.dictMax)
	}
	b.start, b.header = start, int64(len(header))
	r.block, r.dict = b, int(dict)
	if r.check != nil {
		r.check.Reset()
	}
	return nil
}

// parseBlock reads a block header without its checksum. dict is the size of the
// dictionary in bytes.
func parseBlock(header []byte) (b block, dict int64, err error) {
	b = block{open: true, packed: -1, plain: -1, needDict: true, needProps: true}
	flags, rest := header[1], header[2:]
	if flags&0x3c != 0 {
		return b, 0, fmt.Errorf("%w: block flags %#x", ErrUnsupported, flags)
	}
	if flags&3 != 0 {
		return b, 0, fmt.Errorf("%w: %d filters before LZMA2", ErrUnsupported, flags&3)
	}
	for _, field := range []struct {
		bit  byte
		size *int64
	}{{0x40, &b.packed}, {0x80, &b.plain}} {
		if flags&field.bit == 0 {
			continue
		}
		if *field.size, rest, err = number(rest); err != nil {
			return b, 0, err
		}
	}
	filter, rest, err := number(rest)
	if err != nil {
		return b, 0, err
	}
	if filter != 0x21 {
		return b, 0, fmt.Errorf("%w: filter %#x is not LZMA2", ErrUnsupported, filter)
	}
	if len(rest) < 2 || rest[0] != 1 || rest[1] > 40 {
		return b, 0, fmt.Errorf("%w: properties of LZMA2", ErrCorrupt)
	}
	for _, padding := range rest[2:] {
		if padding != 0 {
			return b, 0, fmt.Errorf("%w: padding of a block header", ErrCorrupt)
		}
	}
	if dict = int64(2|rest[1]&1) << (rest[1]/2 + 11); rest[1] == 40 {
		dict = 1<<32 - 1
	}
	return b, max(dict, dictFloor), nil
}

// number reads a variable-length integer.
func number(p []byte) (int64, []byte, error) {
	v, n := binary.Uvarint(p)
	if n <= 0 || n > 9 || n > 1 && p[n-1] == 0 {
		return 0, nil, fmt.Errorf("%w: a number", ErrCorrupt)
	}
	return int64(v), p[n:], nil
}

// closeBlock reads what follows the last chunk: padding and the check.
func (r *Reader) closeBlock() error {
	b := &r.block
	packed := r.counted - b.start - b.header
	if b.packed >= 0 && b.packed != packed || b.plain >= 0 && b.plain != b.unpacked {
		return fmt.Errorf("%w: a block's size differs from its header", ErrCorrupt)
	}
	if err := r.padding(packed); err != nil {
		return err
	}
	if r.check != nil {
		stored := make([]byte, r.checkSize)
		if err := r.full(stored); err != nil {
			return fmt.Errorf("read a block's check: %w", err)
		}
		sum := r.check.Sum(nil)
		if r.checkSize < sha256.Size { // the format is little endian, the sums are big
			for i, j := 0, len(sum)-1; i < j; i, j = i+1, j-1 {
				sum[i], sum[j] = sum[j], sum[i]
			}
		}
		if string(stored) != string(sum) {
			return fmt.Errorf("%w: checksum of a block", ErrCorrupt)
		}
	}
	r.record(b.header+packed+int64(r.checkSize), b.unpacked)
	r.blocks++
	b.open = false
	return nil
}

func (r *Reader) record(unpadded, plain int64) { record(r.records, unpadded, plain) }

func record(h hash.Hash, unpadded, plain int64) {
	var b [recordSize]byte
	binary.LittleEndian.PutUint64(b[:], uint64(unpadded))
	binary.LittleEndian.PutUint64(b[8:], uint64(plain))
	_, _ = h.Write(b[:]) // a hash takes everything
}

// padding reads the zeros that bring size to a multiple of four.
func (r *Reader) padding(size int64) error {
	for ; size%4 != 0; size++ {
		b, err := r.byte()
		if err != nil {
			return err
		}
		if b != 0 {
			return fmt.Errorf("%w: padding", ErrCorrupt)
		}
	}
	return nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
