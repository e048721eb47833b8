package build_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/spec"
)

// Compositions that share what they make give the images that they would give
// alone, also where the cache loses everything between two of them.
func TestSharedWork(t *testing.T) {
	dir, keys := mirror(t)
	d := parse(t, definition)
	one, zstd := *d, *d
	one.Layers, zstd.Compression = 1, "zstd"
	w := open(t, dir, keys, t.TempDir())
	shared := &build.Shared{}
	for i, d := range []*spec.Definition{d, &one, d, &zstd, &one} {
		want := digest(t, open(t, dir, keys, t.TempDir()).build(t, d, build.Options{}))
		if got := digest(t, w.build(t, d, build.Options{Shared: shared})); got != want {
			t.Errorf("image %d: digest %s, want %s", i, got, want)
		}
		if i != 1 && i != 3 {
			continue
		}
		blobs, err := filepath.Glob(filepath.Join(w.cache.Dir(), "blobs", "*"))
		if err != nil || len(blobs) == 0 {
			t.Fatalf("%d blobs: %v", len(blobs), err)
		}
		for _, file := range blobs {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
}
