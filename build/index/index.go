// Package index reads an archive's list of packages without holding it. A
// Builder takes the text as it is unpacked, keeps of each package what a
// dependency is resolved and a lock is written with, and notes where. An Index
// then reads the few packages that are asked for from where they were kept.
//
// The package knows neither network nor signature: whoever feeds a Builder
// must not use what came of it before the text's digest was found right.
package index

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sort"

	"github.com/hardstand/hardstand/build/deb"
)

// ErrDamaged is wrapped when what was kept is not what was written.
var ErrDamaged = errors.New("the kept index is damaged")

// Version is that of the form in which an index is kept. It must change with
// the form, with the fields that are kept, and with what is refused.
const Version = "1"

const (
	// chunkSize is how much is read and checked at once, in bytes.
	chunkSize = 16 << 10
	// maxEntries bounds the packages and, apart, the virtual packages of an
	// index. Debian has seventy thousand.
	maxEntries = 900_000
	// maxText bounds the kept text, in bytes.
	maxText = 512 << 20
)

// Table says where in the kept text a package is.
type Table struct {
	text     int64               // bytes
	sums     [][sha256.Size]byte // of each chunk
	names    []entry             // by hash, then offset
	provides []entry
}

// entry is a name and the offset of a package that has or provides it. Several
// names can have one hash, so the package is looked at as well.
type entry struct{ hash, offset uint32 }

func (e entry) compare(o entry) int {
	return cmp.Or(cmp.Compare(e.hash, o.hash), cmp.Compare(e.offset, o.offset))
}

// hashName is FNV-1a of 32 bits.
func hashName[T string | []byte](name T) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h
}

// The record of a table: magic, then little-endian the text's size and the
// numbers of names and provides, then the sums and both lists.
const (
	magic      = "hsindex" + Version
	headerSize = len(magic) + 16
	entrySize  = 8
)

// Size is that of the kept text, in bytes.
func (t *Table) Size() int64 { return t.text }

// Bytes writes a table.
func (t *Table) Bytes() []byte {
	b := make([]byte, 0, headerSize+len(t.sums)*sha256.Size+entrySize*(len(t.names)+len(t.provides)))
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(t.text))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.names)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.provides)))
	for _, s := range t.sums {
		b = append(b, s[:]...)
	}
	for _, list := range [][]entry{t.names, t.provides} {
		for _, e := range list {
			b = binary.LittleEndian.AppendUint32(b, e.hash)
			b = binary.LittleEndian.AppendUint32(b, e.offset)
		}
	}
	return b
}

// ParseTable reads what Bytes wrote.
func ParseTable(b []byte) (*Table, error) {
	if len(b) < headerSize || string(b[:len(magic)]) != magic {
		return nil, fmt.Errorf("read table: %w", ErrDamaged)
	}
	text := binary.LittleEndian.Uint64(b[len(magic):])
	names, provides := int(binary.LittleEndian.Uint32(b[len(magic)+8:])), int(binary.LittleEndian.Uint32(b[len(magic)+12:]))
	if text > maxText || names > maxEntries || provides > maxEntries {
		return nil, fmt.Errorf("read table: %w", ErrDamaged)
	}
	t := &Table{text: int64(text), sums: make([][sha256.Size]byte, chunks(int64(text)))}
	if b = b[headerSize:]; len(b) != len(t.sums)*sha256.Size+(names+provides)*entrySize {
		return nil, fmt.Errorf("read table: %w", ErrDamaged)
	}
	for i := range t.sums {
		b = b[copy(t.sums[i][:], b):]
	}
	var ok bool
	if t.names, b, ok = parseEntries(b, names, t.text); !ok {
		return nil, fmt.Errorf("read table: names: %w", ErrDamaged)
	}
	if t.provides, _, ok = parseEntries(b, provides, t.text); !ok {
		return nil, fmt.Errorf("read table: provides: %w", ErrDamaged)
	}
	return t, nil
}

func chunks(text int64) int64 { return (text + chunkSize - 1) / chunkSize }

// parseEntries reads n entries, which must be in order and point into the text.
func parseEntries(b []byte, n int, text int64) ([]entry, []byte, bool) {
	list := make([]entry, n)
	for i := range list {
		list[i] = entry{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])}
		if int64(list[i].offset) >= text || i > 0 && list[i-1].compare(list[i]) > 0 {
			return nil, nil, false
		}
		b = b[entrySize:]
	}
	return list, b, true
}

// Index finds packages. It is not safe for concurrent use.
type Index struct {
	table *Table
	text  io.ReaderAt
	kept  map[int64][]byte // chunks that were found right
}

// New returns the index that a table and its text make.
func New(t *Table, text io.ReaderAt) *Index {
	return &Index{table: t, text: text, kept: map[int64][]byte{}}
}

// Close closes the text if it can be closed.
func (x *Index) Close() error {
	if c, ok := x.text.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Len is the number of packages.
func (x *Index) Len() int { return len(x.table.names) }

// Found is a package in the order of the index: At is less for one that came
// earlier.
type Found struct {
	At     uint32
	Stanza deb.Stanza
}

// Named returns the packages of a name, in the order of the index.
func (x *Index) Named(name string) ([]Found, error) {
	all, err := x.find(x.table.names, name)
	return slices.DeleteFunc(all, func(f Found) bool { return f.Stanza.Get("Package") != name }), err
}

// Providing returns the packages that may provide a name, each once, in the
// order of the index. What they provide, and in which version, is for the
// caller to read: hashes can be the same for different names.
func (x *Index) Providing(name string) ([]Found, error) { return x.find(x.table.provides, name) }

// All walks the packages in the order of the index. An error ends the walk.
func (x *Index) All() iter.Seq2[deb.Stanza, error] {
	return func(yield func(deb.Stanza, error) bool) {
		offsets := make([]uint32, 0, len(x.table.names))
		for _, e := range x.table.names {
			offsets = append(offsets, e.offset)
		}
		slices.Sort(offsets)
		for _, at := range offsets {
			for n := range x.kept {
				if n < int64(at)/chunkSize { // it will not be needed again
					delete(x.kept, n)
				}
			}
			s, err := x.stanza(int64(at))
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

func (x *Index) find(list []entry, name string) ([]Found, error) {
	hash := hashName(name)
	var found []Found
	for i := sort.Search(len(list), func(i int) bool { return list[i].hash >= hash }); i < len(list) && list[i].hash == hash; i++ {
		at := list[i].offset
		if len(found) > 0 && found[len(found)-1].At == at {
			continue
		}
		s, err := x.stanza(int64(at))
		if err != nil {
			return nil, fmt.Errorf("find package %s: %w", name, err)
		}
		found = append(found, Found{at, s})
	}
	return found, nil
}

// stanza reads the package at an offset.
func (x *Index) stanza(at int64) (deb.Stanza, error) {
	chunk, err := x.chunk(at / chunkSize)
	if err != nil {
		return nil, err
	}
	text := chunk[at%chunkSize:]
	for next := at/chunkSize + 1; ; next++ {
		if end := bytes.Index(text, []byte("\n\n")); end >= 0 {
			return deb.Stanza(text[: end+1 : end+1]), nil
		}
		if len(text) > deb.MaxStanza || next >= int64(len(x.table.sums)) {
			return nil, fmt.Errorf("package without an end: %w", ErrDamaged)
		}
		if chunk, err = x.chunk(next); err != nil {
			return nil, err
		}
		text = slices.Concat(text, chunk)
	}
}

// chunk reads a chunk and checks it.
func (x *Index) chunk(n int64) ([]byte, error) {
	if b, ok := x.kept[n]; ok {
		return b, nil
	}
	b := make([]byte, min(chunkSize, x.table.text-n*chunkSize))
	if _, err := x.text.ReadAt(b, n*chunkSize); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if sha256.Sum256(b) != x.table.sums[n] {
		return nil, ErrDamaged
	}
	x.kept[n] = b
	return b, nil
}
