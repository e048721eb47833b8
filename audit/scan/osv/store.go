package osv

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
	"golang.org/x/sync/errgroup"
)

// container is one file or directory of entries.
type container struct {
	origin string
	sha256 string // hex
	count  int
	// read gives the i-th entry, using and returning a buffer.
	read func(i int, buf []byte) (name string, data []byte, err error)
}

// zipContainer reads a zip of *.json files. What it is read from is held in
// memory, so that what was hashed is what is used.
func zipContainer(origin string, data []byte) (*container, error) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("read database %s: %w", origin, err)
	}
	files := slices.DeleteFunc(r.File, func(f *zip.File) bool { return !strings.HasSuffix(f.Name, ".json") })
	if len(files) == 0 {
		return nil, fmt.Errorf("read database %s: no JSON file in it", origin)
	}
	if len(files) > MaxEntries {
		return nil, fmt.Errorf("read database %s: %w", origin, limitError("its number of entries", MaxEntries))
	}
	sum := sha256.Sum256(data)
	c := &container{origin: origin, sha256: hex.EncodeToString(sum[:]), count: len(files)}
	inflaters := &sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}
	c.read = func(i int, buf []byte) (string, []byte, error) {
		data, err := unzip(files[i], data, inflaters, buf)
		if err != nil {
			err = fmt.Errorf("read database %s: %s: %w", origin, clip(files[i].Name), err)
		}
		return files[i].Name, data, err
	}
	return c, nil
}

// unzip reads a file of a zip that is in memory, which is twice as fast as
// through archive/zip's readers. Size and checksum are compared at the end.
func unzip(f *zip.File, archive []byte, inflaters *sync.Pool, buf []byte) ([]byte, error) {
	if f.UncompressedSize64 > MaxEntry {
		return buf, limitError("its size", MaxEntry)
	}
	at, err := f.DataOffset()
	if err != nil {
		return buf, err
	}
	if at < 0 || at > int64(len(archive)) || f.CompressedSize64 > uint64(int64(len(archive))-at) {
		return buf, io.ErrUnexpectedEOF
	}
	packed := bytes.NewReader(archive[at : at+int64(f.CompressedSize64)])
	switch f.Method {
	case zip.Store:
		buf, err = fill(packed, buf, int(f.UncompressedSize64))
	case zip.Deflate:
		r := inflaters.Get().(io.ReadCloser)
		if err = r.(flate.Resetter).Reset(packed, nil); err == nil {
			buf, err = fill(r, buf, int(f.UncompressedSize64))
		}
		inflaters.Put(r)
	default:
		err = zip.ErrAlgorithm
	}
	if err == nil && (uint64(len(buf)) != f.UncompressedSize64 || crc32.ChecksumIEEE(buf) != f.CRC32) {
		err = zip.ErrChecksum
	}
	return buf, err
}

// fill reads all of r, of which size bytes are announced and MaxEntry allowed.
func fill(r io.Reader, buf []byte, size int) ([]byte, error) {
	buf = slices.Grow(buf[:0], size+1)
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf)+512)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > MaxEntry:
			return buf, limitError("its size", MaxEntry)
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, err
		}
	}
}

// dirContainer reads the *.json files of a directory, not below it. Links that
// lead out of the database are not followed.
func dirContainer(origin string, root *os.Root, dir string) (*container, error) {
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil {
		return nil, fmt.Errorf("read database: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") && (e.Type().IsRegular() || e.Type() == fs.ModeSymlink) {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("read database %s: no JSON file in it: %w", origin, fs.ErrNotExist)
	}
	if len(names) > MaxEntries {
		return nil, fmt.Errorf("read database %s: %w", origin, limitError("its number of entries", MaxEntries))
	}
	c := &container{origin: origin, count: len(names)}
	c.read = func(i int, buf []byte) (string, []byte, error) {
		f, err := openRegular(root, names[i])
		if err != nil {
			return "", nil, fmt.Errorf("read database %s: %w", origin, err)
		}
		defer f.Close() //nolint:errcheck // opened for reading
		data, err := fill(f, buf, 0)
		if err != nil {
			err = fmt.Errorf("read database %s: %s: %w", origin, names[i], err)
		}
		return names[i], data, err
	}
	return c, nil
}

// openRegular opens a file that is one, also through links: a pipe would wait
// for ever.
func openRegular(root *os.Root, name string) (*os.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", clip(name))
	}
	return root.Open(name)
}

// each hands every entry to one of several visitors, each used by one
// goroutine only.
func (c *container) each(ctx context.Context, visitors []func(name string, data []byte) error) error {
	var at, total atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	const batch = 64
	for _, visit := range visitors {
		group.Go(func() error {
			var buf []byte
			for ctx.Err() == nil {
				from := int(at.Add(batch)) - batch
				if from >= c.count {
					return nil
				}
				for i := from; i < min(from+batch, c.count); i++ {
					name, data, err := c.read(i, buf)
					if err != nil {
						return err
					}
					buf = data
					if total.Add(int64(len(data))) > MaxTotal {
						return fmt.Errorf("read database %s: %w", c.origin, limitError("its unpacked size", MaxTotal))
					}
					if err := visit(name, data); err != nil {
						return fmt.Errorf("database %s: %w", c.origin, err)
					}
				}
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// ask answers a query from all entries.
func (c *container) ask(ctx context.Context, q Query) (Answer, error) {
	scopes := make([]*scope, max(1, min(runtime.GOMAXPROCS(0), c.count/64)))
	visitors := make([]func(string, []byte) error, len(scopes))
	for i := range scopes {
		scopes[i] = newScope(q)
		visitors[i] = scopes[i].entry
	}
	if err := c.each(ctx, visitors); err != nil {
		return Answer{}, err
	}
	for _, s := range scopes[1:] {
		scopes[0].merge(s)
	}
	return scopes[0].answer(c.origin, c.sha256)
}

// clip shortens a foreign name for a message.
func clip(s string) string {
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return fmt.Sprintf("%q", s)
}
