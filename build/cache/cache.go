// Package cache is a content-addressed store on disk. Everything read from it
// is verified first, so that a damaged, half-written or foreign file is at
// worst a miss. Writes go to a temporary file and are renamed into place, so
// any number of processes may share a directory, and killing one of them
// leaves nothing that another would trust.
//
// It holds two kinds of things: blobs, named by their SHA-256, and records,
// small values named by a key that says how they were derived.
package cache

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// DefaultMaxBytes is the size that Prune trims a cache to.
const DefaultMaxBytes = 8 << 30

// maxRecord is the largest record, in bytes.
const maxRecord = 16 << 20

// ErrDigest is wrapped by errors about content that is not what its digest says.
var ErrDigest = errors.New("digest mismatch")

// Digest is a SHA-256 in lower-case hexadecimal, 64 characters, no prefix.
type Digest string

// ParseDigest checks the form of a digest; a "sha256:" prefix is taken off.
func ParseDigest(s string) (Digest, error) {
	h := strings.TrimPrefix(s, "sha256:")
	if len(h) != 64 || strings.Trim(h, "0123456789abcdef") != "" {
		return "", fmt.Errorf("bad SHA-256 %q", s)
	}
	return Digest(h), nil
}

// Sum returns the digest of data.
func Sum(data []byte) Digest {
	s := sha256.Sum256(data)
	return Digest(hex.EncodeToString(s[:]))
}

// HashOf returns the digest that h has come to.
func HashOf(h hash.Hash) Digest { return Digest(hex.EncodeToString(h.Sum(nil))) }

// Cache is a directory of blobs and records. It is safe for concurrent use by
// several goroutines and processes.
type Cache struct {
	dir    string
	secret []byte
}

// Open makes the directory, readable by its owner only, and returns the cache
// in it. Records are authenticated with the secret: a directory filled by
// somebody who does not have it holds only misses. A directory that belongs to
// another user or that others may write to is refused.
func Open(dir string, secret []byte) (*Cache, error) {
	if err := private(dir); err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	for _, sub := range []string{"blobs", "records", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("open cache: %w", err)
		}
	}
	c := &Cache{dir: dir, secret: slices.Clone(secret)}
	c.sweep(time.Now().Add(-24 * time.Hour))
	return c, nil
}

// private checks that nobody else can put files into a directory.
func private(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d", dir, stat.Uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s may be written to by others (mode %04o): chmod go-w %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}

// Dir returns the cache's directory.
func (c *Cache) Dir() string { return c.dir }

// sweep removes temporary files last written before the given time: their
// writers were killed.
func (c *Cache) sweep(before time.Time) {
	entries, err := os.ReadDir(filepath.Join(c.dir, "tmp"))
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			_ = os.Remove(filepath.Join(c.dir, "tmp", e.Name()))
		}
	}
}

func (c *Cache) blobPath(d Digest) string {
	return filepath.Join(c.dir, "blobs", string(d))
}

// Read returns a blob's contents after checking its digest. A blob that is
// missing, larger than limit or damaged is fs.ErrNotExist; a damaged one is
// removed.
func (c *Cache) Read(d Digest, limit int64) ([]byte, error) {
	path := c.blobPath(d)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read cached %s: %w", d, err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil || info.Size() > limit {
		return nil, fmt.Errorf("read cached %s: %w", d, fs.ErrNotExist)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil || Sum(data) != d {
		discard(path, info)
		return nil, fmt.Errorf("read cached %s: damaged, removed: %w", d, fs.ErrNotExist)
	}
	c.touch(path, info)
	return data, nil
}

// Has reports whether a whole blob is there, by reading it.
func (c *Cache) Has(d Digest) bool {
	path, err := c.File(d)
	return err == nil && path != ""
}

// Path is where a blob is if there is one, and where it must not be written to.
func (c *Cache) Path(d Digest) string { return c.blobPath(d) }

// Contains reports whether a blob of at least the given size is there, without
// reading it. Whoever reads the blob later still has its digest checked.
func (c *Cache) Contains(d Digest, size int64) bool {
	if len(d) != 64 {
		return false
	}
	info, err := os.Stat(c.blobPath(d))
	return err == nil && info.Size() >= size
}

// File checks a blob's digest and returns the path of its file, which must
// not be written to. A missing or damaged blob is fs.ErrNotExist.
func (c *Cache) File(d Digest) (string, error) {
	path := c.blobPath(d)
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("find cached %s: %w", d, err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("find cached %s: %w", d, err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil || HashOf(h) != d {
		discard(path, info)
		return "", fmt.Errorf("find cached %s: damaged, removed: %w", d, fs.ErrNotExist)
	}
	c.touch(path, info)
	return path, nil
}

// Discard removes a blob that nothing will ask for again.
func (c *Cache) Discard(d Digest) { _ = os.Remove(c.blobPath(d)) }

// discard removes a damaged file, unless another writer has put a new one in
// its place meanwhile.
func discard(path string, damaged fs.FileInfo) {
	if now, err := os.Lstat(path); err == nil && os.SameFile(now, damaged) {
		_ = os.Remove(path)
	}
}

// touch notes the use of a file for Prune, at most once an hour.
func (c *Cache) touch(path string, info fs.FileInfo) {
	if now := time.Now(); now.Sub(info.ModTime()) > time.Hour {
		_ = os.Chtimes(path, now, now)
	}
}

// Put stores data and returns its digest.
func (c *Cache) Put(data []byte) (Digest, error) {
	d := Sum(data)
	w, err := c.Create()
	if err != nil {
		return "", err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return "", err
	}
	return d, w.Commit(d)
}

// Writer receives a blob whose digest is checked, or found out, at the end.
type Writer struct {
	cache *Cache
	file  *os.File
	to    *bufio.Writer // of tar headers one by one, a system call each otherwise
	hash  hash.Hash
	size  int64
}

// Scratch makes a file without a name, which is gone when it is closed.
func (c *Cache) Scratch() (*os.File, error) {
	f, err := os.CreateTemp(filepath.Join(c.dir, "tmp"), "scratch-*")
	if err != nil {
		return nil, fmt.Errorf("write cache: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("write cache: %w", err), f.Close())
	}
	return f, nil
}

// Create starts a blob. The caller defers Abort and calls Commit.
func (c *Cache) Create() (*Writer, error) {
	f, err := os.CreateTemp(filepath.Join(c.dir, "tmp"), "blob-*")
	if err != nil {
		return nil, fmt.Errorf("write cache: %w", err)
	}
	return &Writer{cache: c, file: f, to: bufio.NewWriterSize(f, writeBuffer), hash: sha256.New()}, nil
}

// writeBuffer is how much is written at once, in bytes.
const writeBuffer = 64 << 10

// Write appends to the blob.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("write cache: %w", err)
	}
	return n, nil
}

// Sum returns the digest of what was written so far.
func (w *Writer) Sum() Digest { return HashOf(w.hash) }

// Size returns the bytes written so far.
func (w *Writer) Size() int64 { return w.size }

// Commit makes the blob visible if its digest is want; otherwise nothing is
// kept and the error wraps ErrDigest.
func (w *Writer) Commit(want Digest) error {
	if got := w.Sum(); got != want {
		return fmt.Errorf("%w: want sha256:%s, got sha256:%s", ErrDigest, want, got)
	}
	if err := errors.Join(w.to.Flush(), w.file.Close()); err != nil {
		return fmt.Errorf("write cache: %w", err)
	}
	if err := os.Rename(w.file.Name(), w.cache.blobPath(want)); err != nil {
		return fmt.Errorf("write cache: %w", err)
	}
	w.file = nil
	return nil
}

// Abort removes an uncommitted blob. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.file != nil {
		_ = w.file.Close()
		_ = os.Remove(w.file.Name())
		w.file = nil
	}
}

// Key names a record: the SHA-256 over its parts, each with its length, so
// that no two lists of parts collide.
func Key(parts ...string) Digest {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return HashOf(h)
}

func (c *Cache) recordPath(key Digest) string {
	return filepath.Join(c.dir, "records", string(key))
}

// Record returns the value stored under key, or fs.ErrNotExist when there is
// none or it is damaged.
func (c *Cache) Record(key Digest) ([]byte, error) {
	path := c.recordPath(key)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(f, maxRecord+sha256.Size+1))
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	if len(data) < sha256.Size || !hmac.Equal(data[:sha256.Size], c.recordSum(key, data[sha256.Size:])) {
		_ = os.Remove(path)
		return nil, fmt.Errorf("read record: damaged, removed: %w", fs.ErrNotExist)
	}
	if info, err := f.Stat(); err == nil {
		c.touch(path, info)
	}
	return data[sha256.Size:], nil
}

// PutRecord stores a value under key.
func (c *Cache) PutRecord(key Digest, value []byte) error {
	if len(value) > maxRecord {
		return fmt.Errorf("write record: %d bytes, at most %d", len(value), maxRecord)
	}
	f, err := os.CreateTemp(filepath.Join(c.dir, "tmp"), "record-*")
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	err = errors.Join(write(f, c.recordSum(key, value), value), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), c.recordPath(key))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// recordSum covers the key, so that a record moved to another name is damaged.
func (c *Cache) recordSum(key Digest, value []byte) []byte {
	h := hmac.New(sha256.New, c.secret)
	h.Write([]byte(key))
	h.Write(value)
	return h.Sum(nil)
}

func write(w io.Writer, parts ...[]byte) error {
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// pruneInterval is how often PruneSometimes looks.
const pruneInterval = 24 * time.Hour

// PruneSometimes prunes once a day.
func (c *Cache) PruneSometimes(maxBytes int64) error {
	stamp := filepath.Join(c.dir, "pruned")
	if info, err := os.Stat(stamp); err == nil && time.Since(info.ModTime()) < pruneInterval {
		return nil
	}
	if err := os.WriteFile(stamp, nil, 0o600); err != nil {
		return fmt.Errorf("prune cache: %w", err)
	}
	_, _, err := c.Prune(maxBytes)
	return err
}

// Prune removes the blobs and records used longest ago until at most maxBytes
// remain. It returns the number of files and bytes removed.
func (c *Cache) Prune(maxBytes int64) (files int, freed int64, err error) {
	type item struct {
		path string
		size int64
		used time.Time
	}
	var items []item
	var total int64
	for _, sub := range []string{"blobs", "records"} {
		err := filepath.WalkDir(filepath.Join(c.dir, sub), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			} else if err != nil {
				return err
			}
			items = append(items, item{path, info.Size(), info.ModTime()})
			total += info.Size()
			return nil
		})
		if err != nil {
			return 0, 0, fmt.Errorf("prune cache: %w", err)
		}
	}
	slices.SortFunc(items, func(a, b item) int { return a.used.Compare(b.used) })
	for _, it := range items {
		if total <= maxBytes {
			break
		}
		if err := os.Remove(it.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return files, freed, fmt.Errorf("prune cache: %w", err)
		}
		total, files, freed = total-it.size, files+1, freed+it.size
	}
	return files, freed, nil
}
