package build_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/spec"
)

// A lock is a file that people edit: what it says is checked against the
// definition and against the packages, with a warm cache as with a cold one.
func TestEditedLocksAreRefused(t *testing.T) {
	dir, keys := mirror(t)
	w, d := open(t, dir, keys, t.TempDir()), parse(t, definition)
	for name, tc := range map[string]struct {
		edit func(*spec.Lock)
		want string
	}{
		"platform missing": {func(l *spec.Lock) { delete(l.Platforms, "linux/arm64") }, "has 1 platforms, the definition 2"},
		"package missing":  {func(l *spec.Lock) { l.Platforms["linux/amd64"] = l.Platforms["linux/amd64"][1:] }, "lacks base-files for linux/amd64"},
		"denied package": {func(l *spec.Lock) {
			p := *l.Platforms["linux/amd64"][0]
			p.Name = "bash"
			l.Platforms["linux/amd64"] = append(l.Platforms["linux/amd64"], &p)
		}, "which the definition denies"},
		"foreign suite":      {func(l *spec.Lock) { l.Platforms["linux/amd64"][0].Suite = "sid" }, "no source of the definition"},
		"other version":      {func(l *spec.Lock) { l.Platforms["linux/amd64"][0].Version = "99" }, "the lock says"},
		"other architecture": {func(l *spec.Lock) { l.Platforms["linux/amd64"][0].Architecture = "all" }, "the lock says"},
	} {
		l, err := build.Lock(t.Context(), w.archive, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		o := build.Options{Cache: w.cache, Archive: w.archive}
		if _, err := build.Assemble(t.Context(), d, l, o); err != nil {
			t.Fatal(err)
		}
		tc.edit(l)
		if _, err := build.Assemble(t.Context(), d, l, o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error = %v, want it to say %q", name, err, tc.want)
		}
	}
}

func TestStaleLockIsRefused(t *testing.T) {
	dir, keys := mirror(t)
	w := open(t, dir, keys, t.TempDir())
	l, err := build.Lock(t.Context(), w.archive, parse(t, definition), nil)
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, strings.Replace(definition, "tzdata, ", "", 1))
	_, err = build.Assemble(t.Context(), d, l, build.Options{Cache: w.cache, Archive: w.archive})
	if !errors.Is(err, build.ErrStaleLock) {
		t.Errorf("error = %v, want ErrStaleLock", err)
	}
}

func TestALockedBuildTouchesNoIndex(t *testing.T) {
	dir, keys := mirror(t)
	w, d := open(t, dir, keys, t.TempDir()), parse(t, definition)
	l, err := build.Lock(t.Context(), w.archive, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "debian", "dists")); err != nil {
		t.Fatal(err)
	}
	fresh := open(t, dir, keys, t.TempDir())
	if _, err := build.Assemble(t.Context(), d, l, build.Options{Cache: fresh.cache, Archive: fresh.archive}); err != nil {
		t.Error(err)
	}
}

func TestAPackageThatIsNotWhatTheLockSaysIsRefused(t *testing.T) {
	dir, keys := mirror(t)
	w, d := open(t, dir, keys, t.TempDir()), parse(t, definition)
	l, err := build.Lock(t.Context(), w.archive, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range l.Platforms["linux/amd64"] {
		p.Version += "+forged"
	}
	_, err = build.Assemble(t.Context(), d, l, build.Options{Cache: w.cache, Archive: w.archive})
	if err == nil || !strings.Contains(err.Error(), "the lock says") {
		t.Errorf("error = %v", err)
	}
}
