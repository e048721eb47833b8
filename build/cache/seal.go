package cache

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// seal is how a blob's file was when its content was last hashed. The change
// time of an inode cannot be set by a program: whatever writes to the file, or
// puts another in its place, changes the seal, even if it puts back size and
// modification time.
type seal struct {
	Device   uint64 `json:"device"`
	Inode    uint64 `json:"inode"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // nanoseconds since 1970
	Changed  int64  `json:"changed"`  // nanoseconds since 1970
}

// sealAge is how long a file must have been as it is before its seal counts:
// several times the granularity of a file system's clock, so that a write right
// after the hashing cannot have the same change time.
const sealAge = 50 * time.Millisecond

// sealLife bounds how long a seal stands in for hashing the content.
const sealLife = time.Hour

func (s seal) key(d Digest) Digest { return Key("seal", string(d), fmt.Sprint(s.Device, s.Inode)) }

// Sealed returns the path of a blob, which must not be written to, without
// reading it, if its file is the very one that was hashed before, by what the
// file system says and by a record that only the holder of the cache's secret
// can have made. Otherwise, and once an hour, it hashes the content like File.
// What it does not see is damage below the file system.
func (c *Cache) Sealed(d Digest) (string, error) {
	path := c.blobPath(d)
	now := time.Now()
	have, ok := sealOf(path)
	if ok && now.UnixNano()-have.Modified < int64(sealLife) && c.sealed(d, have) {
		return path, nil
	}
	if _, err := c.File(d); err != nil {
		return "", err
	}
	return path, c.seal(d, path, have, now)
}

// Holds reports whether a file outside the cache has the content of a digest:
// by its seal, as in Sealed, or by hashing it.
func (c *Cache) Holds(path string, d Digest) bool {
	now := time.Now()
	have, ok := sealOf(path)
	if !ok {
		return false
	}
	if c.sealed(d, have) {
		return true
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // opened for reading
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil || HashOf(h) != d {
		return false
	}
	_ = c.seal(d, path, have, now) // without it the file is hashed again
	return true
}

func (c *Cache) sealed(d Digest, have seal) bool {
	var want seal
	data, err := c.Record(have.key(d))
	return err == nil && json.Unmarshal(data, &want) == nil && want == have
}

// seal remembers how a file is whose content was just hashed, if it did not
// change meanwhile and is old enough to show the next change.
func (c *Cache) seal(d Digest, path string, before seal, started time.Time) error {
	after, ok := sealOf(path)
	if !ok || after != before || started.UnixNano()-before.Changed <= int64(sealAge) {
		return nil
	}
	data, err := json.Marshal(before)
	if err != nil {
		return err
	}
	return c.PutRecord(before.key(d), data)
}

func sealOf(path string) (seal, bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return seal{}, false
	}
	s := seal{Size: info.Size(), Modified: info.ModTime().UnixNano()}
	return s, s.system(info)
}
