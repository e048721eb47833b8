package build_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/build/spec"
)

func TestEveryBlobDamagedHeals(t *testing.T) {
	dir, keys := mirror(t)
	d, cacheDir := parse(t, definition), t.TempDir()
	want := digest(t, open(t, dir, keys, cacheDir).build(t, d, build.Options{}))
	err := filepath.WalkDir(filepath.Join(cacheDir, "blobs"), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if len(data) == 0 { // of a suite without packages
			return nil
		}
		data[len(data)/2] ^= 1
		return os.WriteFile(p, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := digest(t, open(t, dir, keys, cacheDir).build(t, d, build.Options{})); got != want {
		t.Errorf("digest %s from a cache of damaged blobs, want %s", got, want)
	}
}

func TestDamagedCacheHeals(t *testing.T) {
	dir, keys := mirror(t)
	d, cacheDir := parse(t, definition), t.TempDir()
	want := digest(t, open(t, dir, keys, cacheDir).build(t, d, build.Options{}))
	n := 0
	err := filepath.WalkDir(cacheDir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		switch n++; n % 3 {
		case 0:
			return os.Remove(p)
		case 1:
			data[len(data)/2] ^= 1
			return os.WriteFile(p, data, 0o600)
		}
		return nil
	})
	if err != nil || n < 20 {
		t.Fatal(err, n)
	}
	if got := digest(t, open(t, dir, keys, cacheDir).build(t, d, build.Options{})); got != want {
		t.Errorf("digest %s from a damaged cache, want %s", got, want)
	}
}

// checkCache reads everything in a cache as a build would.
func checkCache(t *testing.T, c *cache.Cache) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(c.Dir(), "blobs"), func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !c.Has(cache.Digest(e.Name())) {
			t.Errorf("blob %s is damaged", e.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

const childVariable = "HARDSTAND_TEST_BUILD_CHILD"

// TestMain lets the test binary build as a child that can be killed.
func TestMain(m *testing.M) {
	if spec := os.Getenv(childVariable); spec != "" {
		os.Exit(child(strings.Split(spec, "|")))
	}
	os.Exit(m.Run())
}

func child(args []string) int {
	fail := func(err error) int { fmt.Fprintln(os.Stderr, err); return 1 }
	keyring, err := os.ReadFile(args[1])
	if err != nil {
		return fail(err)
	}
	keys, err := apt.ParseKeyring(keyring)
	if err != nil {
		return fail(err)
	}
	c, err := cache.Open(args[2], nil)
	if err != nil {
		return fail(err)
	}
	m, err := apt.ParseMirror(args[0] + "/debian")
	if err != nil {
		return fail(err)
	}
	a, err := apt.New(apt.Options{Cache: c, Mirrors: []apt.Mirror{m}, Keyring: &keys, Now: debtest.Epoch.Add(time.Hour)})
	if err != nil {
		return fail(err)
	}
	d, err := spec.Parse("base.yaml", []byte(definition))
	if err != nil {
		return fail(err)
	}
	l, err := build.Lock(context.Background(), a, d, nil)
	if err != nil {
		return fail(err)
	}
	r, err := build.Assemble(context.Background(), d, l, build.Options{Cache: c, Archive: a, Program: "child"})
	if err != nil {
		return fail(err)
	}
	h, err := r.Index.Digest()
	if err != nil {
		return fail(err)
	}
	fmt.Println(h)
	return 0
}

// Builds that share a cache are killed at random points; what they leave must
// never mislead a later one.
func TestKilledBuildsLeaveTheCacheRight(t *testing.T) {
	dir, keys := mirror(t)
	want := digest(t, open(t, dir, keys, t.TempDir()).build(t, parse(t, definition), build.Options{}))
	keyFile := filepath.Join(t.TempDir(), "key.asc")
	if err := os.WriteFile(keyFile, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	shared := t.TempDir()
	start := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{dir, keyFile, shared}, "|"))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	right := func() {
		t.Helper()
		w := open(t, dir, keys, shared)
		checkCache(t, w.cache)
		if got := digest(t, w.build(t, parse(t, definition), build.Options{Program: "child"})); got != want {
			t.Errorf("digest %s after killed builds, want %s", got, want)
		}
	}
	killed := 0
	for i := 0; killed < 50 && i < 400; i++ {
		if i > 0 && i%5 == 0 { // start from nothing again
			right()
			if err := os.RemoveAll(shared); err != nil {
				t.Fatal(err)
			}
		}
		a, b := start(), start()
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
		for _, cmd := range []*exec.Cmd{a, b} {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				killed++
			}
		}
	}
	if killed < 50 {
		t.Errorf("only %d builds were killed while they ran", killed)
	}
	right()
	t.Logf("%d builds were killed", killed)
}
