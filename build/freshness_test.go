package build_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/build/spec"
)

// securedWorld is a world whose security suite has moved on by an hour: libc6
// has an update, for one architecture only.
func securedWorld(t *testing.T) (before, after world) {
	t.Helper()
	a := debtest.NewArchive(t, debtest.Suite{Name: "trixie", Packages: packages()}, debtest.Suite{Name: "trixie-updates"}, debtest.Suite{Name: "trixie-security"})
	dir, cacheDir := t.TempDir(), t.TempDir()
	a.WriteTo(t, dir)
	before = open(t, dir, a.Key.Public(t), cacheDir)
	a.Add(t, debtest.Suite{Name: "trixie-security", Date: debtest.Epoch.Add(time.Hour), Packages: []debtest.Package{{Name: "libc6", Version: "2.41-12+deb13u1"}}})
	moved := t.TempDir()
	a.WriteTo(t, moved)
	return before, open(t, moved, a.Key.Public(t), cacheDir)
}

func outdated(f *build.Freshness) []string {
	list := []string{}
	for _, o := range f.Outdated {
		list = append(list, fmt.Sprintf("%s %s %s -> %s grace=%t known=%t", o.Platform, o.Name, o.Version, o.Available, o.Grace, !o.Since.IsZero()))
	}
	return list
}

func TestCheckFresh(t *testing.T) {
	before, after := securedWorld(t)
	now := debtest.Epoch.Add(time.Hour)
	cases := map[string]struct {
		text   string
		change func(*build.FreshOptions)
		want   []string
		counts int
	}{
		"pending":        {definition, nil, []string{"linux/amd64 libc6 2.41-12 -> 2.41-12+deb13u1 grace=false known=true"}, 1},
		"young":          {definition, func(o *build.FreshOptions) { o.Grace = 2 * time.Hour }, []string{"linux/amd64 libc6 2.41-12 -> 2.41-12+deb13u1 grace=true known=true"}, 0},
		"as-old":         {definition, func(o *build.FreshOptions) { o.Grace = time.Hour }, []string{"linux/amd64 libc6 2.41-12 -> 2.41-12+deb13u1 grace=false known=true"}, 1},
		"other-platform": {definition, func(o *build.FreshOptions) { o.Platforms = []spec.Platform{{Arch: "arm64"}} }, []string{}, 0},
		"not-installed":  {"name: x\npackages: [tzdata]\nignore-depends: [debconf]\n", nil, []string{}, 0},
		"held-back": {"name: x\npackages: [libc6 (<< 3)]\n", func(o *build.FreshOptions) { o.Grace = 1000 * time.Hour },
			[]string{"linux/amd64 libc6 2.41-12 -> 2.41-12+deb13u1 grace=false known=false"}, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := parse(t, c.text)
			l, err := build.Lock(t.Context(), before.archive, d, nil)
			if err != nil {
				t.Fatal(err)
			}
			o := build.FreshOptions{Now: now, Floors: l.Floors()}
			if c.change != nil {
				c.change(&o)
			}
			f, err := build.CheckFresh(t.Context(), after.archive, d, l, o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, outdated(f)); diff != "" {
				t.Error(diff)
			}
			if len(f.Counts()) != c.counts || f.Name != "trixie-security" || !f.Date.Equal(now) {
				t.Errorf("%d count in %s of %s, want %d", len(f.Counts()), f.Name, f.Date, c.counts)
			}
		})
	}
}

// A lock that is not what its index led to says nothing about age.
func TestCheckFreshOfAnEditedLock(t *testing.T) {
	_, after := securedWorld(t)
	d := parse(t, definition)
	l, err := build.Lock(t.Context(), after.archive, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range l.Platforms["linux/amd64"] {
		if p.Name == "libc6" {
			p.Version, p.SourceVersion = "2.41-12", "2.41-12"
		}
	}
	f, err := build.CheckFresh(t.Context(), after.archive, d, l, build.FreshOptions{Now: debtest.Epoch.Add(time.Hour), Grace: 1000 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Counts(); len(got) != 1 || !got[0].Since.IsZero() {
		t.Errorf("%q", outdated(f))
	}
}

// The packages of a base count, and nobody knows since when; so do those that
// a package of one's own may have held back.
func TestCheckFreshOfBaseAndLocalDebs(t *testing.T) {
	before, after := securedWorld(t)
	base, text := baseOf(t, nil, layer(t, append(append([]string{}, merged...), libc)...))
	d := parse(t, text+"packages: [tzdata]\nignore-depends: [debconf]\n")
	l, err := build.LockWith(t.Context(), before.archive, d, build.LockOptions{Base: base, Cache: before.cache})
	if err != nil {
		t.Fatal(err)
	}
	o := build.FreshOptions{Now: debtest.Epoch.Add(time.Hour), Grace: 1000 * time.Hour, Base: base, Cache: before.cache}
	f, err := build.CheckFresh(t.Context(), after.archive, d, l, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Counts(); len(got) != 1 || got[0].Name != "libc6" || !got[0].Since.IsZero() {
		t.Errorf("of the base: %q", outdated(f))
	}

	files, text := beside(t, debtest.Package{Name: "agent", Version: "2.0", Architecture: "amd64", Fields: "Depends: libc6 (<< 3)", Files: map[string]string{"opt/agent": "x"}})
	d, l, err = before.withDebs(t, "name: own\nplatforms: [linux/amd64]\n"+text, files)
	if err != nil {
		t.Fatal(err)
	}
	f, err = build.CheckFresh(t.Context(), after.archive, d, l, build.FreshOptions{Now: debtest.Epoch.Add(time.Hour), Grace: 1000 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Counts(); len(got) != 1 || got[0].Name != "libc6" {
		t.Errorf("beside a package of one's own: %q", outdated(f))
	}
}

// What cannot be asked is never freshness.
func TestCheckFreshFailsClosed(t *testing.T) {
	before, after := securedWorld(t)
	d := parse(t, definition)
	l, err := build.Lock(t.Context(), before.archive, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	offline, err := apt.New(apt.Options{Cache: c, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := build.CheckFresh(t.Context(), offline, d, l, build.FreshOptions{}); !errors.Is(err, apt.ErrOffline) {
		t.Errorf("offline: %v, %v", f, err)
	}
	newer := map[string]time.Time{"trixie-security": debtest.Epoch.Add(2 * time.Hour)}
	var stale *apt.FreshnessError
	if f, err := build.CheckFresh(t.Context(), after.archive, d, l, build.FreshOptions{Floors: newer}); !errors.As(err, &stale) {
		t.Errorf("rolled back: %v, %v", f, err)
	}
	delete(l.Platforms, "linux/arm64")
	if f, err := build.CheckFresh(t.Context(), after.archive, d, l, build.FreshOptions{}); err == nil {
		t.Errorf("a platform without packages: %q", outdated(f))
	}
	bare := parse(t, "name: x\nbare: true\nprobe: true\n")
	if l, err = build.Lock(t.Context(), offline, bare, nil); err != nil {
		t.Fatal(err)
	}
	if f, err := build.CheckFresh(t.Context(), offline, bare, l, build.FreshOptions{}); err != nil || len(f.Outdated) != 0 {
		t.Errorf("an image without packages: %v, %v", f, err)
	}
}
