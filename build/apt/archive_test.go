package apt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/debtest"
)

var hello = debtest.Package{Name: "hello", Version: "1.0-1", Files: map[string]string{"usr/bin/hello": strings.Repeat("hello ", 5000)}}

func testArchive(t *testing.T) *debtest.Archive {
	t.Helper()
	return debtest.NewArchive(t,
		debtest.Suite{Name: "trixie", Packages: []debtest.Package{hello}},
		debtest.Suite{Name: "trixie-updates", ValidUntil: debtest.Epoch.AddDate(0, 0, 7)},
	)
}

type client struct {
	*apt.Archive
	cache *cache.Cache
}

// connect returns an archive client for the given mirrors. The clock stands
// an hour after the archive was made.
func connect(t *testing.T, a *debtest.Archive, mirrors ...string) client {
	t.Helper()
	c, err := cache.Open(filepath.Join(t.TempDir(), "cache"), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := apt.ParseKeyring(a.Key.Public(t))
	if err != nil {
		t.Fatal(err)
	}
	var list []apt.Mirror
	for _, m := range mirrors {
		mirror, err := apt.ParseMirror(m)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, mirror)
	}
	archive, err := apt.New(apt.Options{Cache: c, Mirrors: list, Keyring: &keys, Now: debtest.Epoch.Add(time.Hour), Backoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return client{archive, c}
}

// readAll goes the whole way: InRelease, Packages, the package itself.
func (c client) readAll(ctx context.Context, floor time.Time) (string, error) {
	r, err := c.Release(ctx, "trixie", floor)
	if err != nil {
		return "", err
	}
	x, err := c.Index(ctx, r, "main", "amd64")
	if err != nil {
		return "", err
	}
	defer x.Close() //nolint:errcheck // opened for reading
	for s, err := range x.All() {
		if err != nil {
			return "", err
		}
		digest, err := cache.ParseDigest(s.Get("SHA256"))
		if err != nil {
			return "", err
		}
		var size int64
		if _, err := fmt.Sscan(s.Get("Size"), &size); err != nil {
			return "", err
		}
		path, err := c.Fetch(ctx, apt.Deb{Name: s.Get("Package"), Archive: apt.ArchiveMain, Path: s.Get("Filename"), SHA256: digest, Size: size})
		if err != nil {
			return "", err
		}
		body, err := os.ReadFile(path)
		return string(body), err
	}
	return "", errors.New("no package")
}

// trusted lists what a later build would take from the cache.
func (c client) trusted(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(filepath.Join(c.cache.Dir(), "blobs"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestFetchesAndVerifies(t *testing.T) {
	a := testArchive(t)
	s := a.Serve(t, nil)
	c := connect(t, a, s.URL+"/debian")
	want := string(hello.Build(t))
	for range 2 {
		got, err := c.readAll(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Error("the package differs")
		}
	}
	if n := a.Requests("debian/pool/main/hello/hello_1.0-1_amd64.deb"); n != 1 {
		t.Errorf("the package was fetched %d times, want once", n)
	}
	if n := a.Requests("debian/dists/trixie/main/binary-amd64/Packages.gz"); n != 0 {
		t.Error("the index was fetched by name, not by its digest")
	}
}

func TestReadsAnIndexThatIsXZOnly(t *testing.T) {
	a := testArchive(t)
	a.Add(t, debtest.Suite{Name: "trixie", Packages: []debtest.Package{hello}, XZ: true})
	got, err := connect(t, a, a.Serve(t, nil).URL+"/debian").readAll(t.Context(), time.Time{})
	if err != nil || got != string(hello.Build(t)) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

func TestReadsADirectoryMirror(t *testing.T) {
	a := testArchive(t)
	dir := t.TempDir()
	a.WriteTo(t, dir)
	got, err := connect(t, a, dir+"/debian").readAll(t.Context(), time.Time{})
	if err != nil || got != string(hello.Build(t)) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

// harm changes a served archive; the client must notice, say what is wrong and
// keep nothing of it.
func TestHarmIsNoticed(t *testing.T) {
	const inRelease = "debian/dists/trixie/InRelease"
	find := func(a *debtest.Archive, part string) []string {
		var names []string
		for name := range a.Files {
			if strings.Contains(name, part) {
				names = append(names, name)
			}
		}
		return names
	}
	flip := func(part string, at func(int) int) func(*testing.T, *debtest.Archive) {
		return func(t *testing.T, a *debtest.Archive) {
			names := find(a, part)
			if len(names) == 0 {
				t.Fatalf("no file %q", part)
			}
			for _, name := range names {
				data := bytes.Clone(a.Files[name])
				if len(data) == 0 {
					continue // the index of a suite without packages
				}
				data[at(len(data))] ^= 1
				a.Files[name] = data
			}
		}
	}
	middle := func(n int) int { return n / 2 }
	for name, tc := range map[string]struct {
		harm  func(*testing.T, *debtest.Archive)
		floor time.Time
		want  string
		as    any
	}{
		"flipped byte in the signed text": {harm: flip(inRelease, func(n int) int { return 150 }), want: "not signed by a trusted key", as: new(*apt.SignatureError)},
		"flipped byte in the signature":   {harm: flip(inRelease, func(n int) int { return n - 120 }), want: "not signed by a trusted key", as: new(*apt.SignatureError)},
		"flipped byte in Packages":        {harm: flip("binary-amd64", middle), want: "digest mismatch"},
		"flipped byte in the deb":         {harm: flip("hello_1.0-1_amd64.deb", middle), want: "digest mismatch"},
		"unsigned":                        {harm: func(t *testing.T, a *debtest.Archive) { a.Add(t, debtest.Suite{Name: "trixie", Unsigned: true}) }, want: "does not start with a signed message", as: new(*apt.SignatureError)},
		"signed by a stranger": {harm: func(t *testing.T, a *debtest.Archive) {
			a.Files[inRelease] = debtest.NewArchive(t, debtest.Suite{Name: "trixie"}).Files[inRelease]
		}, want: "not signed by a trusted key", as: new(*apt.SignatureError)},
		"text before the message": {harm: func(_ *testing.T, a *debtest.Archive) {
			a.Files[inRelease] = append([]byte("Codename: trixie\n\n"), a.Files[inRelease]...)
		}, want: "does not start with a signed message", as: new(*apt.SignatureError)},
		"text after the signature": {harm: func(_ *testing.T, a *debtest.Archive) {
			a.Files[inRelease] = append(bytes.Clone(a.Files[inRelease]), "SHA256:\n"...)
		}, want: "text after the signature", as: new(*apt.SignatureError)},
		"another suite's InRelease": {harm: func(_ *testing.T, a *debtest.Archive) {
			a.Files[inRelease] = a.Files["debian/dists/trixie-updates/InRelease"]
		}, want: `it is for "trixie-updates"`},
		"expired": {harm: func(t *testing.T, a *debtest.Archive) {
			a.Add(t, debtest.Suite{Name: "trixie", Date: debtest.Epoch.AddDate(0, 0, -9), ValidUntil: debtest.Epoch.AddDate(0, 0, -2)})
		}, want: "valid until", as: new(*apt.FreshnessError)},
		"rolled back": {harm: func(*testing.T, *debtest.Archive) {}, floor: debtest.Epoch.Add(time.Second), want: "rolled back", as: new(*apt.FreshnessError)},
		"from the future": {harm: func(t *testing.T, a *debtest.Archive) {
			a.Add(t, debtest.Suite{Name: "trixie", Date: debtest.Epoch.AddDate(0, 0, 1)})
		}, want: "future"},
		"truncated deb": {harm: func(t *testing.T, a *debtest.Archive) {
			n := find(a, "hello_1.0-1_amd64.deb")[0]
			a.Files[n] = a.Files[n][:100]
		}, want: "server offers 100 bytes"},
		"missing deb":   {harm: func(t *testing.T, a *debtest.Archive) { delete(a.Files, find(a, "hello_1.0-1_amd64.deb")[0]) }, want: "404"},
		"missing suite": {harm: func(t *testing.T, a *debtest.Archive) { delete(a.Files, inRelease) }, want: "404"},
	} {
		t.Run(name, func(t *testing.T) {
			a := testArchive(t)
			tc.harm(t, a)
			c := connect(t, a, a.Serve(t, nil).URL+"/debian")
			_, err := c.readAll(t.Context(), tc.floor)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error = %v, want it to say %q", err, tc.want)
			}
			if tc.as != nil && !errors.As(err, tc.as) {
				t.Errorf("error %v is no %T", err, tc.as)
			}
			for _, n := range c.trusted(t) {
				if d, err := cache.ParseDigest(n); err == nil && !c.cache.Has(d) {
					t.Errorf("the cache keeps %s, which is not what its name says", n)
				}
			}
		})
	}
}

func TestExpiryIsNotJudgedOfASnapshot(t *testing.T) {
	a := testArchive(t)
	a.Add(t, debtest.Suite{Name: "trixie", Date: debtest.Epoch.AddDate(0, -2, 0), ValidUntil: debtest.Epoch.AddDate(0, -1, 0)})
	c := connect(t, a, "http://127.0.0.1:1/debian")
	keys, err := apt.ParseKeyring(a.Key.Public(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := apt.ParseMirror(a.Serve(t, nil).URL + "/debian")
	if err != nil {
		t.Fatal(err)
	}
	m.AsOf = debtest.Epoch.AddDate(0, -2, 1)
	archive, err := apt.New(apt.Options{Cache: c.cache, Mirrors: []apt.Mirror{m}, Keyring: &keys, Now: debtest.Epoch})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Release(t.Context(), "trixie", time.Time{}); err != nil {
		t.Error(err)
	}
}

func TestHostilePoolPathsAreRefused(t *testing.T) {
	a := testArchive(t)
	c := connect(t, a, a.Serve(t, nil).URL+"/debian")
	for _, p := range []string{"", "/etc/passwd", "../../x", "pool/../../x", "pool//x", "pool/x?y", "pool/x#y", "pool/a b", "http://evil/x", "pool/x\n"} {
		_, err := c.Fetch(t.Context(), apt.Deb{Name: "x", Path: p, Size: 1, SHA256: cache.Sum(nil)})
		if err == nil || !strings.Contains(err.Error(), "bad ") {
			t.Errorf("path %q: error = %v, want it refused", p, err)
		}
	}
}

func TestOfflineReadsOnlyTheCache(t *testing.T) {
	a := testArchive(t)
	c := connect(t, a, a.Serve(t, nil).URL+"/debian")
	if _, err := c.readAll(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	body := hello.Build(t)
	off, err := apt.New(apt.Options{Cache: c.cache, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	d := apt.Deb{Name: "hello", Archive: apt.ArchiveMain, Path: "pool/x.deb", SHA256: cache.Sum(body), Size: int64(len(body))}
	if _, err := off.Fetch(t.Context(), d); err != nil {
		t.Error(err)
	}
	d.SHA256 = cache.Sum([]byte("other"))
	if _, err := off.Fetch(t.Context(), d); !errors.Is(err, apt.ErrOffline) {
		t.Errorf("error = %v, want ErrOffline", err)
	}
	if _, err := off.Release(t.Context(), "trixie", time.Time{}); !errors.Is(err, apt.ErrOffline) {
		t.Errorf("error = %v, want ErrOffline", err)
	}
}

func TestDebianKeysByPurpose(t *testing.T) {
	for _, suite := range []string{"trixie", "trixie-updates", "trixie-security", "bookworm"} {
		if _, err := apt.DebianKeyring(suite); err != nil {
			t.Errorf("%s: %v", suite, err)
		}
	}
}

func FuzzParseRelease(f *testing.F) {
	a := debtest.NewArchive(f, debtest.Suite{Name: "trixie"})
	keys, err := apt.ParseKeyring(a.Key.Public(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(a.Files["debian/dists/trixie/InRelease"])
	f.Add([]byte("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nx\n-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := apt.ParseRelease(data, "trixie", keys, debtest.Epoch, time.Time{})
		if err == nil && len(r.Keys) == 0 {
			t.Fatal("accepted without a good signature")
		}
	})
}
