package cache_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hardstand/hardstand/build/cache"
)

// TestSealNoticesEveryChange changes a sealed blob in the ways that keep its
// name, size and modification time.
func TestSealNoticesEveryChange(t *testing.T) {
	content := []byte("what was hashed")
	for name, damage := range map[string]func(path string, info fs.FileInfo) error{
		"written": func(path string, _ fs.FileInfo) error {
			return os.WriteFile(path, []byte("what was HASHED"), 0o600)
		},
		"replaced": func(path string, _ fs.FileInfo) error {
			if err := os.WriteFile(path+"x", []byte("what was HASHED"), 0o600); err != nil {
				return err
			}
			return os.Rename(path+"x", path)
		},
		"linked": func(path string, _ fs.FileInfo) error {
			if err := os.WriteFile(path+"x", []byte("what was HASHED"), 0o600); err != nil {
				return err
			}
			return errors.Join(os.Remove(path), os.Symlink(path+"x", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := cache.Open(t.TempDir(), []byte("secret"))
			if err != nil {
				t.Fatal(err)
			}
			d, err := c.Put(content)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(60 * time.Millisecond) // a younger file is not sealed
			path, err := c.Sealed(d)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Sealed(d); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(path, info); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Sealed(d); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a changed blob passes: %v", err)
			}
		})
	}
}

// TestSealNeedsTheSecret copies a cache as somebody without its secret would.
func TestSealNeedsTheSecret(t *testing.T) {
	dir := t.TempDir()
	mine, err := cache.Open(dir, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := mine.Put([]byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "blobs", string(d))
	if err := os.WriteFile(path, []byte("CONTENT"), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs, err := cache.Open(dir, []byte("other"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Sealed(d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v", err)
	}
}
