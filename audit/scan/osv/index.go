package osv

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// An index is a database sorted by package, made once so that a scan reads a
// few kilobytes of it:
//
//	magic, HMAC-SHA-256 of the root, length of the head (uint32, big endian)
//	head: JSON of indexHead
//	rows: for each package, sorted by key: offset and length of the key within
//	      keys (uint32 each), offset (uint64) and length (uint32) of the record
//	      within the file, SHA-256 of the record
//	keys: "Ecosystem\x00name", one after another
//	records: zstd of a JSON array of entries
//
// The root is the SHA-256 of head, rows and keys, and rows hold the digest of
// each record, so no byte is used that has not been verified.
const (
	indexMagic = "hardstand osv index 1\n"
	rowSize    = 4 + 4 + 8 + 4 + sha256.Size

	maxHead   = 16 << 20
	maxRows   = 1 << 29
	maxRecord = 256 << 20 // unpacked
)

type indexHead struct {
	Sources []indexSource `json:"sources"`
	Rows    int           `json:"rows"`
	Keys    int           `json:"keys"` // bytes
}

// indexSource is what is known of a database that went into an index.
type indexSource struct {
	Ecosystem string    `json:"ecosystem"`
	Releases  []string  `json:"releases"`
	Origin    string    `json:"origin"`
	SHA256    string    `json:"sha256"`
	Entries   int       `json:"entries"`
	Newest    time.Time `json:"newest"`
}

// index is an open index whose root has been verified.
type index struct {
	file *os.File
	name string
	head indexHead
	rows []byte
	keys []byte
}

func (x *index) close() error { return x.file.Close() }

// openIndex reads and verifies everything but the records. It takes over f.
func openIndex(f *os.File, o Options) (*index, error) {
	x, err := readIndex(f, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read index %s: %w", o.Location, err), f.Close())
	}
	return x, nil
}

func readIndex(f *os.File, o Options) (*index, error) {
	r := io.NewSectionReader(f, int64(len(indexMagic)), 1<<62)
	var mac [sha256.Size]byte
	var headLen uint32
	if _, err := io.ReadFull(r, mac[:]); err != nil {
		return nil, truncated(err)
	}
	if err := binary.Read(r, binary.BigEndian, &headLen); err != nil {
		return nil, truncated(err)
	}
	if headLen > maxHead {
		return nil, limitError("its head", maxHead)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	x := &index{file: f, name: o.Location}
	head := make([]byte, min(int64(headLen), info.Size()))
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, truncated(err)
	}
	// The sizes in the head are needed to read what the root covers; they are
	// bounded by the file and believed only when the root holds.
	if err := json.Unmarshal(head, &x.head); err != nil {
		return nil, err
	}
	size := int64(x.head.Rows)*rowSize + int64(x.head.Keys)
	if x.head.Rows < 0 || x.head.Keys < 0 || x.head.Rows > maxRows/rowSize || size > maxRows || size > info.Size() {
		return nil, errors.New("it is not whole: its table is larger than the file")
	}
	table := make([]byte, size)
	if _, err := io.ReadFull(r, table); err != nil {
		return nil, truncated(err)
	}
	x.rows, x.keys = table[:x.head.Rows*rowSize], table[x.head.Rows*rowSize:]
	return x, vouch(indexRoot(head, table), mac[:], o)
}

func indexRoot(head, table []byte) []byte {
	h := sha256.New()
	h.Write(head)
	h.Write(table)
	return h.Sum(nil)
}

// vouch decides whether an index is one to believe.
func vouch(root, mac []byte, o Options) error {
	if o.SHA256 != "" {
		if got := hex.EncodeToString(root); subtle.ConstantTimeCompare([]byte(got), []byte(o.SHA256)) != 1 {
			return fmt.Errorf("its digest is sha256:%s, and %s is asked for", got, clip(o.SHA256))
		}
		return nil
	}
	if len(o.IndexKey) == 0 || !hmac.Equal(mac, authenticate(root, o.IndexKey)) {
		return fmt.Errorf("it was not made on this machine, or has been changed since: name its digest, or make it again (its digest is sha256:%x)", root)
	}
	return nil
}

func authenticate(root, key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(root)
	return h.Sum(nil)
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it is truncated")
	}
	return err
}

// ask looks up the packages of a query.
func (x *index) ask(_ context.Context, q Query) (Answer, error) {
	s := newScope(q)
	var from indexSource
	for _, src := range x.head.Sources {
		if src.Ecosystem == q.Ecosystem {
			from = src
		}
	}
	s.entries, s.newest = from.Entries, from.Newest
	for _, r := range from.Releases {
		s.releases[r] = true
	}
	seen := map[string]bool{}
	for _, name := range q.Names {
		entries, err := x.lookup(q.Ecosystem + "\x00" + name)
		if err != nil {
			return Answer{}, fmt.Errorf("read index %s: %w", x.name, err)
		}
		for _, e := range entries {
			if !seen[e.ID] {
				seen[e.ID] = true
				s.matches = append(s.matches, e)
			}
		}
	}
	a, err := s.answer(x.name, from.SHA256)
	a.Origin = x.name + " (" + from.Origin + ")"
	return a, err
}

// row returns a row's key and where its record is.
func (x *index) row(i int) (key []byte, at int64, size uint32, sum []byte) {
	row := x.rows[i*rowSize : (i+1)*rowSize]
	from, n := binary.BigEndian.Uint32(row), binary.BigEndian.Uint32(row[4:])
	if int64(from)+int64(n) <= int64(len(x.keys)) {
		key = x.keys[from : from+n]
	}
	return key, int64(binary.BigEndian.Uint64(row[8:])), binary.BigEndian.Uint32(row[16:]), row[20:]
}

func (x *index) lookup(key string) ([]*Entry, error) {
	i := sort.Search(x.head.Rows, func(i int) bool { k, _, _, _ := x.row(i); return string(k) >= key })
	if i == x.head.Rows {
		return nil, nil
	}
	k, at, size, sum := x.row(i)
	if string(k) != key {
		return nil, nil
	}
	if size > maxRecord {
		return nil, limitError("a record", maxRecord)
	}
	packed := make([]byte, size)
	if _, err := x.file.ReadAt(packed, at); err != nil {
		return nil, truncated(err)
	}
	if got := sha256.Sum256(packed); !bytes.Equal(got[:], sum) {
		return nil, fmt.Errorf("the record of %s is damaged", strings.ReplaceAll(key, "\x00", " "))
	}
	return unpack(packed)
}

func unpack(packed []byte) ([]*Entry, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxRecord), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := r.DecodeAll(packed, nil)
	if err != nil {
		return nil, err
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	entries := make([]*Entry, len(raw))
	for i, one := range raw {
		if entries[i], err = ParseEntry(one); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// collected is what the workers of WriteIndex found together.
type collected struct {
	source  map[string]*indexSource
	release map[string]bool
	records map[string][]json.RawMessage
}

func (c *collected) add(e *Entry, sum, origin string) error {
	small, err := slim(e.Raw)
	if err != nil {
		return fmt.Errorf("%s: %w", clip(e.ID), err)
	}
	ecosystems, keys := map[string]bool{}, map[string]bool{}
	for _, a := range e.Affected {
		parent := Parent(a.Package.Ecosystem)
		if parent == "" {
			continue // commits only
		}
		ecosystems[parent] = true
		c.release[a.Package.Ecosystem] = true
		keys[parent+"\x00"+a.Package.Name] = true
	}
	for key := range keys {
		c.records[key] = append(c.records[key], small)
	}
	for name := range ecosystems {
		src := c.source[name]
		if src == nil {
			src = &indexSource{Ecosystem: name, Origin: origin, SHA256: sum}
			c.source[name] = src
		}
		src.Entries++
		if e.Modified.After(src.Newest) {
			src.Newest = e.Modified
		}
	}
	return nil
}

func (c *collected) sources() []indexSource {
	var list []indexSource
	for _, src := range c.source {
		for r := range c.release {
			if Parent(r) == src.Ecosystem {
				src.Releases = append(src.Releases, r)
			}
		}
		sort.Strings(src.Releases)
		list = append(list, *src)
	}
	sort.Slice(list, func(i, j int) bool { return cmp.Less(list[i].Ecosystem, list[j].Ecosystem) })
	return list
}
