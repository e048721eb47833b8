package osv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// WriteIndex makes an index of a database's ecosystems and returns its digest,
// hex. Without names it takes all that a directory or zip has.
func WriteIndex(ctx context.Context, w io.Writer, db *Database, ecosystems []string) (string, error) {
	list, err := db.containers(ctx, ecosystems)
	if err != nil {
		return "", fmt.Errorf("make index: %w", err)
	}
	all := &collected{map[string]*indexSource{}, map[string]bool{}, map[string][]json.RawMessage{}}
	for _, c := range list {
		if err := all.read(ctx, c); err != nil {
			return "", fmt.Errorf("make index: %w", err)
		}
	}
	for _, name := range ecosystems {
		if all.source[name] == nil {
			return "", fmt.Errorf("make index: the database has no entry for the ecosystem %s", name)
		}
	}
	if len(all.source) == 0 {
		return "", errors.New("make index: the database is empty")
	}
	sum, err := all.write(w, db.options.IndexKey)
	if err != nil {
		return "", fmt.Errorf("make index: %w", err)
	}
	return sum, nil
}

// containers opens the files that an index is made of.
func (d *Database) containers(ctx context.Context, ecosystems []string) ([]*container, error) {
	switch s := d.source.(type) {
	case one:
		return []*container{s.container}, nil
	case *files:
		return s.containers(ctx, ecosystems)
	}
	return nil, errors.New("an index cannot be made of an index")
}

func (f *files) containers(ctx context.Context, ecosystems []string) ([]*container, error) {
	if len(ecosystems) == 0 {
		if f.dir == nil {
			return nil, fmt.Errorf("%s cannot be listed: name the ecosystems to take", f.location)
		}
		entries, err := fs.ReadDir(f.dir.FS(), ".")
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if _, err := f.dir.Stat(e.Name() + "/all.zip"); err == nil {
				ecosystems = append(ecosystems, e.Name())
			}
		}
	}
	var list []*container
	for _, name := range ecosystems {
		data, err := f.read(ctx, name+"/all.zip")
		if err != nil {
			return nil, err
		}
		c, err := zipContainer(f.location+"/"+name+"/all.zip", data)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no <Ecosystem>/all.zip", f.location)
	}
	return list, nil
}

func (all *collected) read(ctx context.Context, c *container) error {
	var mu sync.Mutex
	visit := func(name string, data []byte) error {
		e, err := ParseEntry(bytes.Clone(data))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if e.Modified.IsZero() {
			return fmt.Errorf("%s: it does not say when it was modified, so it is no OSV entry", name)
		}
		mu.Lock()
		defer mu.Unlock()
		return all.add(e, c.sha256, c.origin)
	}
	return c.each(ctx, []func(string, []byte) error{visit, visit})
}

func (all *collected) write(w io.Writer, key []byte) (string, error) {
	names := make([]string, 0, len(all.records))
	for name := range all.records {
		names = append(names, name)
	}
	sort.Strings(names)
	var rows, keys []byte
	var records bytes.Buffer
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		packed, err := pack(enc, all.records[name])
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(packed)
		rows = binary.BigEndian.AppendUint32(rows, uint32(len(keys)))
		rows = binary.BigEndian.AppendUint32(rows, uint32(len(name)))
		rows = binary.BigEndian.AppendUint64(rows, uint64(records.Len()))
		rows = binary.BigEndian.AppendUint32(rows, uint32(len(packed)))
		rows = append(rows, sum[:]...)
		keys = append(keys, name...)
		records.Write(packed)
	}
	head, err := json.Marshal(indexHead{Sources: all.sources(), Rows: len(names), Keys: len(keys)})
	if err != nil {
		return "", err
	}
	base := uint64(len(indexMagic) + sha256.Size + 4 + len(head) + len(rows) + len(keys))
	for i := range names {
		at := rows[i*rowSize+8:]
		binary.BigEndian.PutUint64(at, binary.BigEndian.Uint64(at)+base)
	}
	table := append(rows, keys...)
	root := indexRoot(head, table)
	mac := make([]byte, sha256.Size) // no key: only the digest vouches
	if len(key) > 0 {
		mac = authenticate(root, key)
	}
	for _, part := range [][]byte{[]byte(indexMagic), mac, binary.BigEndian.AppendUint32(nil, uint32(len(head))), head, table, records.Bytes()} {
		if _, err := w.Write(part); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(root), nil
}

// pack writes a record: the entries in the order of their bytes, so that the
// same database makes the same index.
func pack(enc *zstd.Encoder, entries []json.RawMessage) ([]byte, error) {
	slices.SortFunc(entries, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	data, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	if len(data) > maxRecord {
		return nil, limitError("a record", maxRecord)
	}
	return enc.EncodeAll(data, nil), nil
}
