package apt_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/build/index"
)

// files lists what is in a folder of the cache.
func (c client) files(t *testing.T, folder string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(c.cache.Dir(), folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// find reads the index, as a build does, and looks for the package in it.
func (c client) find(t *testing.T) error {
	t.Helper()
	r, err := c.Release(t.Context(), "trixie", time.Time{})
	if err != nil {
		return err
	}
	x, err := c.Index(t.Context(), r, "main", "amd64")
	if err != nil {
		return err
	}
	defer x.Close() //nolint:errcheck // opened for reading
	found, err := x.Named("hello")
	if err == nil && len(found) != 1 {
		t.Errorf("%d packages named hello, want 1", len(found))
	}
	if errors.Is(err, index.ErrDamaged) {
		c.ForgetIndex(r, "main", "amd64")
	}
	return err
}

// requests counts how often the index of trixie was asked for.
func requests(a *debtest.Archive) int {
	n := 0
	for name := range a.Files {
		if strings.HasPrefix(name, "debian/dists/trixie/main/binary-amd64/") {
			n += a.Requests(name)
		}
	}
	return n
}

func TestIndexIsFetchedOnce(t *testing.T) {
	a := testArchive(t)
	c := connect(t, a, a.Serve(t, nil).URL+"/debian")
	for range 3 {
		if err := c.find(t); err != nil {
			t.Fatal(err)
		}
	}
	if n := requests(a); n != 1 {
		t.Errorf("the index was fetched %d times, want once", n)
	}
	// Another index is another digest: what was kept does not stand for it.
	a.Add(t, debtest.Suite{Name: "trixie", Packages: []debtest.Package{hello, {Name: "other", Version: "1"}}})
	before := requests(a)
	if err := c.find(t); err != nil {
		t.Fatal(err)
	}
	if n := requests(a) - before; n != 1 {
		t.Errorf("the changed index was fetched %d times, want once", n)
	}
}

// What is kept of an index is made anew when it was damaged, cut or lost.
func TestDamagedIndexIsFetchedAgain(t *testing.T) {
	flip := func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		return os.WriteFile(path, data, 0o600)
	}
	for name, tc := range map[string]struct {
		folder string
		harm   func(path string) error
		late   bool // the damage shows only when the package is read
	}{
		"changed record": {"records", flip, false},
		"cut record":     {"records", func(p string) error { return os.Truncate(p, 70) }, false},
		"empty record":   {"records", func(p string) error { return os.Truncate(p, 0) }, false},
		"lost record":    {"records", os.Remove, false},
		"changed text":   {"blobs", flip, true},
		"cut text":       {"blobs", func(p string) error { return os.Truncate(p, 9) }, false},
		"empty text":     {"blobs", func(p string) error { return os.Truncate(p, 0) }, false},
		"lost text":      {"blobs", os.Remove, false},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			a := testArchive(t)
			c := connect(t, a, a.Serve(t, nil).URL+"/debian")
			if err := c.find(t); err != nil {
				t.Fatal(err)
			}
			kept := c.files(t, tc.folder)
			if len(kept) != 1 {
				t.Fatalf("the cache keeps %v, want one file", kept)
			}
			whole, err := os.ReadFile(kept[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := tc.harm(kept[0]); err != nil {
				t.Fatal(err)
			}
			if err := c.find(t); errors.Is(err, index.ErrDamaged) != tc.late || err != nil && !tc.late {
				t.Fatalf("error = %v after the damage", err)
			}
			if err := c.find(t); err != nil {
				t.Fatal(err)
			}
			if n := requests(a); n != 2 {
				t.Errorf("the index was fetched %d times, want twice", n)
			}
			if now, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(now, whole) {
				t.Errorf("what is kept was not mended: %v", err)
			}
		})
	}
}

// Of an index that is not the signed one nothing is kept, and a package of it
// is not seen.
func TestNothingIsKeptOfAWrongIndex(t *testing.T) {
	plain := []byte("Package: hello\nVersion: 6\nArchitecture: all\n\n")
	for name, body := range map[string][]byte{
		"another index":       debtest.Compress(t, "gz", plain),
		"unpacks to too much": debtest.Compress(t, "gz", bytes.Repeat([]byte("\n"), 64<<20)),
		"not compressed":      plain,
		"empty":               {},
		"end of gzip is cut":  debtest.Compress(t, "gz", plain)[:20],
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			a := testArchive(t)
			for file := range a.Files {
				if strings.HasPrefix(file, "debian/dists/trixie/main/binary-amd64/") {
					a.Files[file] = body
				}
			}
			c := connect(t, a, a.Serve(t, nil).URL+"/debian")
			if err := c.find(t); err == nil {
				t.Error("no error")
			}
			for _, folder := range []string{"blobs", "records", "tmp"} {
				if left := c.files(t, folder); len(left) > 0 {
					t.Errorf("left in %s: %v", folder, left)
				}
			}
		})
	}
}

// A signed size may be wrong all the same: what is unpacked is bounded by it,
// and nothing is kept.
func TestSizesThatLie(t *testing.T) {
	for _, by := range []int64{-1, 1, 1 << 20, 1 << 40} {
		a := testArchive(t)
		a.Add(t, debtest.Suite{Name: "trixie", Packages: []debtest.Package{hello}, Lie: by})
		c := connect(t, a, a.Serve(t, nil).URL+"/debian")
		want := "bytes announced"
		if by == 1<<40 {
			want = "at most"
		}
		if err := c.find(t); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("size off by %d: error = %v, want it to say %q", by, err, want)
		}
		if left := append(c.files(t, "records"), c.files(t, "blobs")...); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}
