package xz

import (
	"encoding/binary"
	"fmt"
)

// chunk unpacks one chunk of LZMA2, or closes the block after the last.
func (r *Reader) chunk() error {
	control, err := r.byte()
	if err != nil {
		return fmt.Errorf("read a chunk: %w", err)
	}
	if control == 0 {
		return r.closeBlock()
	}
	b := &r.block
	if control == 1 || control >= 0xe0 {
		b.needDict, b.needProps = false, true
		r.first = r.pos
	}
	if b.needDict || control > 2 && control < 0x80 {
		return fmt.Errorf("%w: chunk of kind %#x", ErrCorrupt, control)
	}
	var sizes [4]byte
	n := 2
	if control >= 0x80 {
		n = 4
	}
	if err := r.full(sizes[:n]); err != nil {
		return fmt.Errorf("read a chunk: %w", err)
	}
	plain := int(binary.BigEndian.Uint16(sizes[:])) + 1
	if control >= 0x80 {
		plain += int(control&0x1f) << 16
	}
	if b.plain >= 0 && b.unpacked+int64(plain) > b.plain {
		return fmt.Errorf("%w: a block is longer than its header says", ErrCorrupt)
	}
	r.room(plain)
	if control < 0x80 {
		err = r.full(r.win[r.pos : r.pos+plain])
	} else {
		err = r.lzma(control, plain, int(binary.BigEndian.Uint16(sizes[2:]))+1)
	}
	if err != nil {
		return fmt.Errorf("unpack a chunk: %w", err)
	}
	if r.check != nil {
		_, _ = r.check.Write(r.win[r.pos : r.pos+plain]) // a hash takes everything
	}
	r.pos += plain
	b.unpacked += int64(plain)
	return nil
}

func (r *Reader) lzma(control byte, plain, packed int) error {
	switch {
	case control >= 0xc0:
		properties, err := r.byte()
		if err != nil {
			return err
		}
		if !r.m.properties(properties) {
			return fmt.Errorf("%w: properties %#x", ErrCorrupt, properties)
		}
		r.block.needProps = false
		r.m.reset()
	case r.block.needProps:
		return fmt.Errorf("%w: a chunk before the first properties", ErrCorrupt)
	case control >= 0xa0:
		r.m.reset()
	}
	if err := r.full(r.m.in[:packed]); err != nil {
		return err
	}
	if !r.m.decode(r.win, r.first, r.pos, r.pos+plain, packed, uint32(r.dict)) {
		return fmt.Errorf("%w: compressed data", ErrCorrupt)
	}
	return nil
}

// room makes the window large enough for n more bytes. All of it was read by
// the caller, so only the dictionary has to stay. The window grows with what
// was unpacked, up to one and a half dictionaries and a chunk.
func (r *Reader) room(n int) {
	if r.win == nil {
		size := max(window, min(r.expected, r.dict+r.dict/2+chunkPlain))
		if pooled, ok := windows.Get().(*[]byte); ok && len(*pooled) >= size {
			r.win = *pooled
		} else {
			r.win = make([]byte, size)
		}
	}
	if r.pos+n+overrun <= len(r.win) {
		return
	}
	// The distance from first must keep its last bits: they choose the context.
	keep := r.dict + (r.pos-r.first-r.dict)&15
	drop := r.first
	if r.pos-r.first > keep {
		drop = r.pos - keep
	}
	old := r.win
	if size := r.pos - drop + n + overrun; size > len(r.win) || drop < len(r.win)/4 {
		r.win = make([]byte, min(2*max(size, len(r.win)), max(size, r.dict+r.dict/2+chunkPlain)))
	}
	copy(r.win, old[drop:r.pos])
	r.pos -= drop
	r.read, r.first = r.pos, 0
}
