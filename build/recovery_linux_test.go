package build_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/debtest"
)

// TestFullDisk fills a real, tiny file system.
func TestFullDisk(t *testing.T) {
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=100k"); err != nil {
		t.Skipf("cannot mount a file system of its own (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d := parse(t, "name: x\npackages: [big]\nplatforms: [amd64]")
	big := make([]byte, 300_000)
	for i := range big {
		big[i] = byte(rand.Uint32())
	}
	a := debtest.NewArchive(t, debtest.Suite{Name: "trixie", Packages: []debtest.Package{{Name: "big", Files: map[string]string{"usr/big": string(big)}}}},
		debtest.Suite{Name: "trixie-updates"}, debtest.Suite{Name: "trixie-security"})
	dir := t.TempDir()
	a.WriteTo(t, dir)
	w := open(t, dir, a.Key.Public(t), filepath.Join(small, "cache"))
	l, err := build.Lock(t.Context(), w.archive, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = build.Assemble(t.Context(), d, l, build.Options{Cache: w.cache, Archive: w.archive})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error = %v, want ENOSPC", err)
	}
	if left, _ := os.ReadDir(filepath.Join(w.cache.Dir(), "tmp")); len(left) > 0 {
		t.Errorf("the failed build left %v", left)
	}
	checkCache(t, w.cache)
}
