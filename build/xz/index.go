package xz

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// summed reads bytes and keeps their checksum.
type summed struct {
	r   *Reader
	sum hash.Hash32
	n   int64
}

func (s *summed) ReadByte() (byte, error) {
	b, err := s.r.byte()
	if err == nil {
		_, _ = s.sum.Write([]byte{b}) // a hash takes everything
		s.n++
	}
	return b, err
}

func (s *summed) number() (int64, error) {
	var v uint64
	for shift := 0; shift < 63; shift += 7 {
		b, err := s.ReadByte()
		if err != nil {
			return 0, err
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if b == 0 && shift > 0 {
				break
			}
			return int64(v), nil
		}
	}
	return 0, fmt.Errorf("%w: a number in the index", ErrCorrupt)
}

// index reads the index, whose first byte is there already, and the footer, and
// compares them with the blocks that were read.
func (r *Reader) index() error {
	s := &summed{r: r, sum: crc32.NewIEEE(), n: 1}
	_, _ = s.sum.Write([]byte{0}) // a hash takes everything
	count, err := s.number()
	if err != nil {
		return err
	}
	if count != r.blocks {
		return fmt.Errorf("%w: the index lists %d blocks, there were %d", ErrCorrupt, count, r.blocks)
	}
	listed := sha256.New()
	for range count {
		unpadded, err := s.number()
		if err != nil {
			return err
		}
		plain, err := s.number()
		if err != nil {
			return err
		}
		record(listed, unpadded, plain)
	}
	if !bytes.Equal(listed.Sum(nil), r.records.Sum(nil)) {
		return fmt.Errorf("%w: the index differs from the blocks", ErrCorrupt)
	}
	for s.n%4 != 0 {
		b, err := s.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			return fmt.Errorf("%w: padding of the index", ErrCorrupt)
		}
	}
	var stored [4]byte
	if err := r.full(stored[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(stored[:]) != s.sum.Sum32() {
		return fmt.Errorf("%w: checksum of the index", ErrCorrupt)
	}
	return r.footer(s.n + 4)
}

func (r *Reader) footer(index int64) error {
	var f [headerSize]byte
	if err := r.full(f[:]); err != nil {
		return fmt.Errorf("read the stream footer: %w", err)
	}
	switch {
	case [2]byte(f[10:]) != footerMagic:
		return fmt.Errorf("%w: end of the stream footer", ErrCorrupt)
	case crc32.ChecksumIEEE(f[4:10]) != binary.LittleEndian.Uint32(f[:]):
		return fmt.Errorf("%w: checksum of the stream footer", ErrCorrupt)
	case (int64(binary.LittleEndian.Uint32(f[4:]))+1)*4 != index:
		return fmt.Errorf("%w: size of the index", ErrCorrupt)
	case f[8] != 0 || f[9] != r.flags:
		return fmt.Errorf("%w: flags of the stream footer", ErrCorrupt)
	}
	return nil
}

// following looks for another stream behind padding, and returns io.EOF where
// there is none.
func (r *Reader) following() error {
	for padding := 0; ; padding++ {
		b, err := r.src.ReadByte()
		if errors.Is(err, io.EOF) && padding%4 == 0 {
			return io.EOF
		}
		if err != nil {
			return noEOF(err)
		}
		if b == 0 {
			continue
		}
		if padding%4 != 0 {
			return fmt.Errorf("%w: padding between streams", ErrCorrupt)
		}
		var header [headerSize]byte
		header[0] = b
		if err := r.full(header[1:]); err != nil {
			return fmt.Errorf("read the stream header: %w", err)
		}
		return r.stream(header[:])
	}
}
