package apt_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/build/fresh"
)

var installedHello = []fresh.Installed{{Name: "hello", Version: "1.0-1", Arch: "amd64", Source: "hello", SourceVersion: "1.0-1"}}

func securitySuite(change func(*debtest.Suite)) debtest.Suite {
	s := debtest.Suite{Name: "trixie-security", ValidUntil: debtest.Epoch.AddDate(0, 0, 7),
		Packages: []debtest.Package{{Name: "hello", Version: "1.0-1+deb13u1"}, {Name: "other", Version: "9"}}}
	if change != nil {
		change(&s)
	}
	return s
}

// pending asks an archive for what it has for hello on amd64.
func pending(c client, floor time.Time) (*fresh.Offers, fresh.Update, bool, error) {
	floors := map[string]time.Time{"trixie-security": floor}
	o, err := c.Offers(context.Background(), []string{"trixie-security"}, "main", []string{"amd64"}, floors, installedHello)
	if err != nil {
		return nil, fresh.Update{}, false, err
	}
	u, found, err := o.Update(installedHello[0])
	return o, u, found, err
}

// TestOffers reads one suite, and no other.
func TestOffers(t *testing.T) {
	a := debtest.NewArchive(t, securitySuite(nil))
	server := a.Serve(t, nil)
	c := connect(t, a, server.URL+"/debian")
	for _, round := range []string{"fetched", "kept"} {
		o, u, found, err := pending(c, time.Time{})
		if err != nil || !found || u.Available != "1.0-1+deb13u1" || u.Suite != "trixie-security" {
			t.Fatalf("%s: %+v, %v, %v", round, u, found, err)
		}
		if s := o.Suites[0]; s.Name != "trixie-security" || !s.Date.Equal(debtest.Epoch) || len(s.InRelease) != len("sha256:")+64 {
			t.Errorf("%s: suite %+v", round, s)
		}
	}
	if n := a.Requests("debian-security/dists/trixie-security/InRelease"); n != 2 {
		t.Errorf("InRelease was asked for %d times, want each time", n)
	}
}

// TestOffersRefuses makes sure that what cannot be known is never taken for
// nothing.
func TestOffersRefuses(t *testing.T) {
	cases := map[string]struct {
		suite  func(*debtest.Suite)
		harm   func(*debtest.Archive)
		floor  time.Time
		check  func(error) bool
		client func(*testing.T, *debtest.Archive, string) client
	}{
		"unsigned":    {suite: func(s *debtest.Suite) { s.Unsigned = true }, check: as[*apt.SignatureError]},
		"expired":     {suite: func(s *debtest.Suite) { s.ValidUntil = debtest.Epoch.Add(time.Minute) }, check: as[*apt.FreshnessError]},
		"future":      {suite: func(s *debtest.Suite) { s.Date = debtest.Epoch.Add(3 * time.Hour) }, check: as[*apt.SignatureError]},
		"rolled-back": {floor: debtest.Epoch.Add(time.Second), check: as[*apt.FreshnessError]},
		"gone":        {harm: func(a *debtest.Archive) { clear(a.Files) }, check: func(err error) bool { return err != nil }},
		"other-index": {harm: func(a *debtest.Archive) {
			for name, data := range a.Files {
				if filepath.Ext(name) == ".gz" || filepath.Base(filepath.Dir(name)) == "SHA256" {
					a.Files[name] = append([]byte("x"), data...)
				}
			}
		}, check: func(err error) bool { return err != nil }},
		"no-architecture": {suite: func(s *debtest.Suite) { s.Architectures = []string{"arm64"} }, check: func(err error) bool { return err != nil }},
		"wrong-key": {client: func(t *testing.T, _ *debtest.Archive, url string) client {
			return connect(t, debtest.NewArchive(t), url)
		}, check: as[*apt.SignatureError]},
		"offline": {client: func(t *testing.T, a *debtest.Archive, url string) client {
			return special(t, a, url, true, time.Time{})
		},
			check: func(err error) bool { return errors.Is(err, apt.ErrOffline) }},
		"snapshot": {client: func(t *testing.T, a *debtest.Archive, url string) client {
			return special(t, a, url, false, debtest.Epoch)
		},
			check: func(err error) bool { return errors.Is(err, apt.ErrSnapshot) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := debtest.NewArchive(t, securitySuite(c.suite))
			if c.harm != nil {
				c.harm(a)
			}
			url := a.Serve(t, nil).URL + "/debian"
			open := c.client
			if open == nil {
				open = func(t *testing.T, a *debtest.Archive, url string) client { return connect(t, a, url) }
			}
			o, _, _, err := pending(open(t, a, url), c.floor)
			if o != nil || !c.check(err) {
				t.Errorf("offers %v, error %v", o, err)
			}
		})
	}
}

func as[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// special connects offline, or to a snapshot.
func special(t *testing.T, a *debtest.Archive, url string, offline bool, asOf time.Time) client {
	t.Helper()
	store, err := cache.Open(filepath.Join(t.TempDir(), "cache"), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := apt.ParseKeyring(a.Key.Public(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := apt.ParseMirror(url)
	if err != nil {
		t.Fatal(err)
	}
	m.AsOf = asOf
	archive, err := apt.New(apt.Options{Cache: store, Mirrors: []apt.Mirror{m}, Keyring: &keys, Now: debtest.Epoch.Add(time.Hour), Offline: offline})
	if err != nil {
		t.Fatal(err)
	}
	return client{archive, store}
}

// TestOfflineReadsDirectories makes sure that working offline asks no server,
// reads directories, and believes them no more than servers.
func TestOfflineReadsDirectories(t *testing.T) {
	a := testArchive(t)
	server, dir := a.Serve(t, nil), t.TempDir()
	a.WriteTo(t, dir)
	body := hello.Build(t)
	d := apt.Deb{Name: "hello", Archive: apt.ArchiveMain, Path: "pool/main/hello/hello_1.0-1_amd64.deb", SHA256: cache.Sum(body), Size: int64(len(body))}
	open := func(mirrors ...string) *apt.Archive {
		t.Helper()
		c, err := cache.Open(filepath.Join(t.TempDir(), "cache"), nil)
		if err != nil {
			t.Fatal(err)
		}
		var list []apt.Mirror
		for _, each := range mirrors {
			m, err := apt.ParseMirror(each)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, m)
		}
		archive, err := apt.New(apt.Options{Cache: c, Mirrors: list, Offline: true, Attempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		return archive
	}
	if _, err := open(server.URL+"/debian").Fetch(t.Context(), d); !errors.Is(err, apt.ErrOffline) {
		t.Errorf("from a server: %v, want ErrOffline", err)
	}
	both := open(server.URL+"/debian", dir+"/debian")
	if _, err := both.Fetch(t.Context(), d); err != nil {
		t.Errorf("from a directory: %v", err)
	}
	if _, err := both.Release(t.Context(), "trixie", time.Time{}); !errors.Is(err, apt.ErrOffline) {
		t.Errorf("an index: %v, want ErrOffline", err)
	}
	d.SHA256 = cache.Sum([]byte("other"))
	if file, err := both.Fetch(t.Context(), d); err == nil {
		t.Errorf("another package was taken: %s", file)
	}
	if n := a.Requests("debian/" + d.Path); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
}
