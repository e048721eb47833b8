package build

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hardstand/hardstand/build/payload"
)

// defaultHold is how much of the blocks one composition keeps in memory, in
// bytes.
const defaultHold = 40 << 20

// tarBlock is a piece of a segment: tar bytes and what they are compressed to.
// Pieces of a program that is embedded compressed have no tar bytes: they are
// unpacked where they are needed.
type tarBlock struct {
	packed, plain []byte
	unpack        func(io.Writer) error // in place of plain
}

// blocks keeps a segment in memory from when it is written until its layer is,
// so that it is written once, as a part of the layer, and never read. A segment
// that there is no room for, or that comes from the cache, has none.
type blocks struct {
	room *atomic.Int64 // bytes left of Options.Hold, for all segments of a composition

	mu   sync.Mutex
	list []tarBlock
	size int64
	lost bool
}

// add keeps a block. If there is no room for it, none are kept, and it returns
// those that were.
func (b *blocks) add(t tarBlock) (dropped []tarBlock, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost {
		return nil, false
	}
	size := int64(len(t.plain) + len(t.packed))
	if b.room.Add(-size) < 0 {
		b.room.Add(size)
		dropped = b.list
		b.drop()
		return dropped, false
	}
	b.list, b.size = append(b.list, t), b.size+size
	return nil, true
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

// all returns the blocks, if they are held.
func (b *blocks) all() ([]tarBlock, bool) {
	if b == nil {
		return nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.list, !b.lost
}

// copyTo writes the compressed bytes and the tar bytes.
func (b *blocks) copyTo(packed, plain io.Writer) error {
	list, ok := b.all()
	if !ok {
		return errNotHeld
	}
	return copyBlocks(packed, plain, list)
}

func copyBlocks(packed, plain io.Writer, list []tarBlock) error {
	for _, t := range list {
		if _, err := packed.Write(t.packed); err != nil {
			return err
		}
		if plain == io.Discard {
			continue
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

// writePlain writes the tar bytes. Those that must be unpacked are unpacked side
// by side, some blocks ahead.
func writePlain(w io.Writer, list []tarBlock) error {
	type unpacked struct {
		text *bytes.Buffer
		err  error
	}
	ahead := make([]chan unpacked, len(list))
	start := func(i int) {
		if i >= len(list) || list[i].unpack == nil {
			return
		}
		ahead[i] = make(chan unpacked, 1)
		go func() {
			text := texts.Get().(*bytes.Buffer)
			text.Reset()
			err := list[i].unpack(text)
			ahead[i] <- unpacked{text, err}
		}()
	}
	for i := range maxAhead {
		start(i)
	}
	for i, t := range list {
		start(i + maxAhead)
		if ahead[i] != nil {
			u := <-ahead[i]
			if u.err != nil {
				return u.err
			}
			if _, err := w.Write(u.text.Bytes()); err != nil {
				return err
			}
			texts.Put(u.text)
			continue
		}
		if _, err := w.Write(t.plain); err != nil {
			return err
		}
	}
	return nil
}

// maxAhead is how many blocks are unpacked before they are needed.
const maxAhead = 2

var texts = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, payload.BlockSize+bytes.MinRead)) }}

// buffers are for the blocks that are being filled.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, blockSize); return &b }}

func emptyBuffer() *[]byte {
	b := buffers.Get().(*[]byte)
	*b = (*b)[:0]
	return b
}
