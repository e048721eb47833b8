package cache_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hardstand/hardstand/build/cache"
)

func open(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.Open(filepath.Join(t.TempDir(), "cache"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// only returns the one regular file below a sub-directory of the cache.
func only(t *testing.T, c *cache.Cache, sub string) string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(c.Dir(), sub), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, p)
		}
		return err
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("files in %s: %v, %v; want one", sub, found, err)
	}
	return found[0]
}

func TestBlobRoundTrip(t *testing.T) {
	c := open(t)
	d, err := c.Put([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Read(d, 100); err != nil || string(got) != "hello" {
		t.Errorf("Read = %q, %v", got, err)
	}
	if p, err := c.File(d); err != nil || p == "" {
		t.Errorf("File = %q, %v", p, err)
	}
	if _, err := c.Read(d, 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read over the limit: %v", err)
	}
	if _, err := c.Read(cache.Sum([]byte("other")), 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of a missing blob: %v", err)
	}
}

func TestDamageIsAMissAndIsRemoved(t *testing.T) {
	damage := map[string]func([]byte) []byte{
		"flipped":   func(b []byte) []byte { b[0] ^= 1; return b },
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
		"empty":     func([]byte) []byte { return nil },
		"longer":    func(b []byte) []byte { return append(b, 'x') },
	}
	for name, f := range damage {
		for _, read := range []string{"Read", "File", "Record"} {
			t.Run(name+"/"+read, func(t *testing.T) {
				c := open(t)
				key, sub := cache.Key("k"), "blobs"
				d, err := c.Put([]byte("content"))
				if read == "Record" {
					_ = os.RemoveAll(filepath.Join(c.Dir(), "blobs"))
					sub, err = "records", c.PutRecord(key, []byte("content"))
				}
				if err != nil {
					t.Fatal(err)
				}
				path := only(t, c, sub)
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, f(data), 0o600); err != nil {
					t.Fatal(err)
				}
				switch read {
				case "Read":
					_, err = c.Read(d, 100)
				case "File":
					_, err = c.File(d)
				case "Record":
					_, err = c.Record(key)
				}
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("error = %v, want fs.ErrNotExist", err)
				}
				if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the damaged file is still there: %v", err)
				}
			})
		}
	}
}

func TestRecordBelongsToItsKey(t *testing.T) {
	c := open(t)
	if err := c.PutRecord(cache.Key("a"), []byte("value of a")); err != nil {
		t.Fatal(err)
	}
	b := cache.Key("b")
	moved := filepath.Join(c.Dir(), "records", string(b))
	if err := os.MkdirAll(filepath.Dir(moved), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(only(t, c, "records"), moved); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Record(b); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a record under a foreign key reads as %q, %v", got, err)
	}
}

func TestRecordsOfAnotherSecretAreMisses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	attacker, err := cache.Open(dir, []byte("guess"))
	if err != nil {
		t.Fatal(err)
	}
	if err := attacker.PutRecord(cache.Key("k"), []byte("poison")); err != nil {
		t.Fatal(err)
	}
	mine, err := cache.Open(dir, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := mine.Record(cache.Key("k")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a poisoned record reads as %q, %v", got, err)
	}
}

func TestAnOpenDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Open(dir, nil); err == nil {
		t.Error("a directory that everybody may write to is used")
	}
}

func TestKeyKeepsPartsApart(t *testing.T) {
	if cache.Key("ab", "c") == cache.Key("a", "bc") || cache.Key("a") == cache.Key("a", "") {
		t.Error("keys of different parts collide")
	}
}

func TestCommitRefusesAnotherDigest(t *testing.T) {
	c := open(t)
	w, err := c.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write([]byte("tampered")); err != nil {
		t.Fatal(err)
	}
	want := cache.Sum([]byte("original"))
	if err := w.Commit(want); !errors.Is(err, cache.ErrDigest) {
		t.Errorf("Commit = %v, want ErrDigest", err)
	}
	if _, err := c.File(want); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("File = %v after a refused commit", err)
	}
	w.Abort()
	if left, _ := os.ReadDir(filepath.Join(c.Dir(), "tmp")); len(left) > 0 {
		t.Errorf("a refused blob left %v", left)
	}
}

func TestStaleTemporaryFilesAreSwept(t *testing.T) {
	c := open(t)
	stale, fresh := filepath.Join(c.Dir(), "tmp", "stale"), filepath.Join(c.Dir(), "tmp", "fresh")
	for _, p := range []string{stale, fresh} {
		if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(stale, old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Open(c.Dir(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the file of a writer killed two days ago is still there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("the file of a running writer was removed")
	}
}

func TestPruneRemovesTheLeastRecentlyUsed(t *testing.T) {
	c := open(t)
	var ds []cache.Digest
	for i := range 4 {
		d, err := c.Put(bytes.Repeat([]byte{byte(i)}, 1000))
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.File(d)
		if err != nil {
			t.Fatal(err)
		}
		used := time.Now().Add(time.Duration(i-100) * time.Hour)
		if err := os.Chtimes(p, used, used); err != nil {
			t.Fatal(err)
		}
		ds = append(ds, d)
	}
	if _, err := c.Read(ds[0], 1000); err != nil { // now the newest
		t.Fatal(err)
	}
	files, freed, err := c.Prune(2500)
	if err != nil || files != 2 || freed != 2000 {
		t.Fatalf("Prune = %d, %d, %v", files, freed, err)
	}
	for i, want := range []bool{true, false, false, true} {
		if c.Has(ds[i]) != want {
			t.Errorf("blob %d kept = %v, want %v", i, !want, want)
		}
	}
}

func TestConcurrentWritersOfOneBlob(t *testing.T) {
	c := open(t)
	data := bytes.Repeat([]byte("x"), 1<<20)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			d, err := c.Put(data)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := c.File(d); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestFullDiskIsAnErrorAndLeavesNothing(t *testing.T) {
	// A directory that cannot be written stands in here; the tests of package
	// build fill a real file system.
	c := open(t)
	if err := os.RemoveAll(filepath.Join(c.Dir(), "tmp")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put([]byte("x")); err == nil {
		t.Error("Put succeeds without a place to write")
	}
	if err := c.PutRecord(cache.Key("x"), nil); err == nil {
		t.Error("PutRecord succeeds without a place to write")
	}
}

func TestContains(t *testing.T) {
	c := open(t)
	d, err := c.Put([]byte("nineteen characters"))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Contains(d, 19) || c.Contains(d, 20) || c.Contains(cache.Sum(nil), 0) || c.Contains("", 0) {
		t.Error("Contains is wrong about sizes")
	}
}
