package build

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// maxHeld bounds the blocks that one composition keeps in memory, in bytes.
const maxHeld = 64 << 20

// tarBlock is a piece of a segment: tar bytes and what they are compressed to.
// Pieces of a program that is embedded compressed have no tar bytes: they are
// unpacked where they are needed.
type tarBlock struct {
	packed, plain []byte
	unpack        func(io.Writer) error // in place of plain
}

// blocks keeps a segment in memory from when it is written until its layer is,
// so that the layer need not read and unpack it. A segment that there is no
// room for, or that comes from the cache, has none.
type blocks struct {
	room *atomic.Int64 // bytes left of maxHeld, for all segments of a composition

	mu   sync.Mutex
	list []tarBlock
	size int64
	lost bool
}

// add keeps a block, or none if there is no room for it. It reports whether it
// did: if not, the block is the caller's to use again.
func (b *blocks) add(t tarBlock) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost {
		return false
	}
	size := int64(len(t.plain) + len(t.packed))
	if b.room.Add(-size) < 0 {
		b.room.Add(size)
		b.drop()
		return false
	}
	b.list, b.size = append(b.list, t), b.size+size
	return true
}

func (b *blocks) drop() {
	b.room.Add(b.size)
	b.list, b.size, b.lost = nil, 0, true
}

// release forgets the blocks. Whoever is reading them keeps them for as long.
func (b *blocks) release() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop()
}

// errNotHeld says that a segment must be read from the cache.
var errNotHeld = errors.New("the segment is not in memory")

// copyTo writes the compressed bytes and the tar bytes.
func (b *blocks) copyTo(packed, plain io.Writer) error {
	if b == nil {
		return errNotHeld
	}
	b.mu.Lock()
	list, lost := b.list, b.lost
	b.mu.Unlock()
	if lost {
		return errNotHeld
	}
	for _, t := range list {
		if _, err := packed.Write(t.packed); err != nil {
			return err
		}
		if t.unpack != nil {
			if err := t.unpack(plain); err != nil {
				return err
			}
			continue
		}
		if _, err := plain.Write(t.plain); err != nil {
			return err
		}
	}
	return nil
}

// buffers are for the blocks that are being filled.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, blockSize); return &b }}

func emptyBuffer() *[]byte {
	b := buffers.Get().(*[]byte)
	*b = (*b)[:0]
	return b
}

// keep keeps a block that was written, and gives its buffer back if it may be
// used again. A nil b keeps nothing.
func (b *blocks) keep(r packed) {
	if b == nil {
		if r.buffer != nil {
			buffers.Put(r.buffer)
		}
		return
	}
	if r.buffer == nil {
		b.add(tarBlock{packed: r.data, unpack: r.unpack})
		return
	}
	if plain := *r.buffer; len(plain) < cap(plain)/2 { // not worth a whole buffer
		b.add(tarBlock{packed: r.data, plain: bytes.Clone(plain)})
	} else if b.add(tarBlock{packed: r.data, plain: plain}) {
		return
	}
	buffers.Put(r.buffer)
}
