package build_test

import (
	"archive/tar"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/build/spec"
)

// What an image is does not depend on what of it fits into memory, nor on
// whether its packages come from another image's layers.
func TestHeldOrReadAgain(t *testing.T) {
	dir, keys := mirror(t)
	d := parse(t, definition)
	zstd := *d
	zstd.Compression = "zstd"
	for name, d := range map[string]*spec.Definition{"gzip": d, "zstd": &zstd} {
		want := digest(t, open(t, dir, keys, t.TempDir()).build(t, d, build.Options{}))
		for _, hold := range []int64{-1, 1500, 40_000, 1 << 30} {
			if got := digest(t, open(t, dir, keys, t.TempDir()).build(t, d, build.Options{Hold: hold})); got != want {
				t.Errorf("%s, with %d bytes held: digest %s, want %s", name, hold, got, want)
			}
		}
	}
	one := *d
	one.Layers = 1
	want := digest(t, open(t, dir, keys, t.TempDir()).build(t, &one, build.Options{}))
	shared := open(t, dir, keys, t.TempDir())
	shared.build(t, d, build.Options{})
	if got := digest(t, shared.build(t, &one, build.Options{})); got != want {
		t.Errorf("of another image's segments: digest %s, want %s", got, want)
	}
}

// What was made of packages before a build failed is not made again.
func TestAFailedBuildKeepsItsSegments(t *testing.T) {
	w := archiveOf(t, debtest.Package{Name: "tool", Headers: []tar.Header{{Name: "./usr/bin/tool", Typeflag: tar.TypeReg, Mode: 0o4755}}})
	d := parse(t, "name: x\nplatforms: [amd64]\npackages: [tool]")
	l, err := build.Lock(t.Context(), w.archive, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := build.Options{Cache: w.cache, Archive: w.archive}
	if _, err := build.Assemble(t.Context(), d, l, o); err == nil || !strings.Contains(err.Error(), "is set-id") {
		t.Fatalf("a set-id file: %v", err)
	}
	sum, err := cache.ParseDigest(l.Platforms["linux/amd64"][0].SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(w.cache.Path(sum)); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = filepath.WalkDir(filepath.Join(w.cache.Dir(), "blobs"), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			seen++
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Errorf("the cache holds %d blobs beside the package, want its segment: %v", seen, err)
	}
}

// A lock that is not kept may be for some of the platforms, and is good for no
// others.
func TestLockForSomePlatforms(t *testing.T) {
	dir, keys := mirror(t)
	d := parse(t, definition)
	w := open(t, dir, keys, t.TempDir())
	whole, err := build.Lock(t.Context(), w.archive, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	amd, arm := d.Platforms[0], d.Platforms[1]
	if err := os.RemoveAll(filepath.Join(dir, "debian/dists/trixie/main/binary-arm64")); err != nil {
		t.Fatal(err)
	}
	w = open(t, dir, keys, t.TempDir())
	l, err := build.LockWith(t.Context(), w.archive, d, build.LockOptions{Platforms: []spec.Platform{amd}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole.Platforms[amd.String()], l.Platforms[amd.String()]); diff != "" {
		t.Error(diff)
	}
	o := build.Options{Cache: w.cache, Archive: w.archive, Platforms: []spec.Platform{amd}}
	if _, err := build.Assemble(t.Context(), d, l, o); err != nil {
		t.Error(err)
	}
	for _, platforms := range [][]spec.Platform{nil, {arm}} {
		o.Platforms = platforms
		if _, err := build.Assemble(t.Context(), d, l, o); !errors.Is(err, build.ErrStaleLock) {
			t.Errorf("platforms %v of a lock for %v: %v, want %v", platforms, amd, err, build.ErrStaleLock)
		}
	}
	if _, err := build.LockWith(t.Context(), w.archive, d, build.LockOptions{Platforms: []spec.Platform{{Arch: "s390x"}}}); err == nil {
		t.Error("a platform that the definition lacks was locked")
	}
}
