package osv_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/audit/scan/osv"
	"github.com/hardstand/hardstand/audit/scan/scantest"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/google/osv-scalibr/semantic": "the order of versions",
		"github.com/klauspost/compress/...":      "zips and index records",
		"golang.org/x/sync/errgroup":             "entries are read in parallel",
	})
}

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// sample is a small database that has one of everything.
func sample() map[string][]scantest.Entry {
	recent := now.Add(-2 * time.Hour)
	withdrawn := scantest.Go("GO-2026-9", "example.org/m", recent, nil, "0", "", nil)
	withdrawn["withdrawn"] = "2026-11-01T00:00:00Z"
	return map[string][]scantest.Entry{
		"Debian": {
			scantest.Debian("DEBIAN-CVE-2026-1", "glibc", recent, "high", map[string]string{"12": "2.36-9", "13": "2.41-13"}),
			scantest.Debian("DEBIAN-CVE-2026-2", "libstdc++", recent.Add(-time.Hour), "low", map[string]string{"13": ""}),
			scantest.Debian("DEBIAN-CVE-2026-3", "other", recent.Add(-2*time.Hour), "low", map[string]string{"11": ""}),
		},
		"Go": {
			scantest.Go("GO-2026-1", "example.org/m", recent, []string{"CVE-2026-10"}, "0", "1.2.0", map[string][]string{"example.org/m": {"F"}}),
			withdrawn,
		},
	}
}

func directory(t *testing.T, databases map[string][]scantest.Entry) string {
	t.Helper()
	dir := t.TempDir()
	if err := scantest.Write(dir, databases); err != nil {
		t.Fatal(err)
	}
	return dir
}

func ask(t *testing.T, o osv.Options, q osv.Query) (osv.Answer, error) {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = now
	}
	db, err := osv.Open(context.Background(), o)
	if err != nil {
		return osv.Answer{}, err
	}
	defer db.Close()
	return db.Ask(context.Background(), q)
}

func ids(a osv.Answer) string {
	var list []string
	for _, e := range a.Matches {
		list = append(list, e.ID)
	}
	return strings.Join(list, " ")
}

var debian = osv.Query{Ecosystem: "Debian", Releases: []string{"Debian:13"}, Names: []string{"glibc", "libstdc++", "absent"}}

// TestPlaces asks the same of every place that a database can be in.
func TestPlaces(t *testing.T) {
	dir := directory(t, sample())
	unpacked := t.TempDir()
	unzip(t, filepath.Join(dir, "Debian", "all.zip"), filepath.Join(unpacked, "Debian"))
	zipFile := filepath.Join(dir, "Debian", "all.zip")
	data, err := os.ReadFile(zipFile)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	index := filepath.Join(t.TempDir(), "index")
	key := []byte("a key of this machine")
	sum := writeIndex(t, dir, index, key)
	artefact := func(context.Context, string) (map[string]func() (io.ReadCloser, error), string, error) {
		return map[string]func() (io.ReadCloser, error){"Debian/all.zip": func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(data)), nil
		}}, "ab12", nil
	}
	places := map[string]osv.Options{
		"directory":        {Location: dir},
		"unpacked":         {Location: unpacked},
		"zip":              {Location: zipFile},
		"zip-by-digest":    {Location: zipFile, SHA256: fmt.Sprintf("%x", sha256.Sum256(data))},
		"mirror":           {Location: server.URL},
		"zip-on-a-mirror":  {Location: server.URL + "/Debian/all.zip"},
		"index":            {Location: index, IndexKey: key},
		"index-by-digest":  {Location: index, SHA256: "sha256:" + sum},
		"artefact":         {Location: "oci://registry.example/osv", Artefact: artefact},
		"artefact-by-hash": {Location: "oci://registry.example/osv", Artefact: artefact, SHA256: "ab12"},
	}
	for name, o := range places {
		t.Run(name, func(t *testing.T) {
			o.MaxAge = 24 * time.Hour
			a, err := ask(t, o, debian)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := ids(a), "DEBIAN-CVE-2026-1 DEBIAN-CVE-2026-2"; got != want {
				t.Errorf("matches %s, want %s", got, want)
			}
			if a.Entries != 3 || !a.Newest.Equal(now.Add(-2*time.Hour)) {
				t.Errorf("%d entries, newest %s", a.Entries, a.Newest)
			}
		})
	}
}

func unzip(t *testing.T, file, dir string) {
	t.Helper()
	r, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.CopyFS(dir, r); err != nil {
		t.Fatal(err)
	}
}

func writeIndex(t *testing.T, dir, file string, key []byte) string {
	t.Helper()
	db, err := osv.Open(context.Background(), osv.Options{Location: dir, IndexKey: key})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var buf bytes.Buffer
	sum, err := osv.WriteIndex(context.Background(), &buf, db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestSHA256SUMSVouchesForADirectory(t *testing.T) {
	dir := directory(t, sample())
	data, err := os.ReadFile(filepath.Join(dir, "Debian", "all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	sums := fmt.Appendf(nil, "%x  ./Debian/all.zip\n", sha256.Sum256(data))
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
	o := osv.Options{Location: dir, SHA256: fmt.Sprintf("%x", sha256.Sum256(sums))}
	if _, err := ask(t, o, debian); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, o, osv.Query{Ecosystem: "Go", Names: []string{"m"}}); err == nil || !strings.Contains(err.Error(), "does not list Go/all.zip") {
		t.Errorf("a file that SHA256SUMS does not list: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Debian", "all.zip"), append(data, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, o, debian); err == nil || !strings.Contains(err.Error(), "has the digest") {
		t.Errorf("a changed file: %v", err)
	}
}

// TestRefusals lists what must never be taken for "nothing found".
func TestRefusals(t *testing.T) {
	whole := directory(t, sample())
	zipped := func(change func(data []byte) []byte) string {
		data, err := os.ReadFile(filepath.Join(whole, "Debian", "all.zip"))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "Debian"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "Debian", "all.zip"), change(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	raw := func(name, text string) string {
		var buf bytes.Buffer
		w := zip.NewWriter(&buf)
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return zipped(func([]byte) []byte { return buf.Bytes() })
	}
	loop := t.TempDir()
	if err := os.Symlink("Debian", filepath.Join(loop, "Debian")); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	if err := os.Symlink(filepath.Join(whole, "Debian"), filepath.Join(outside, "Debian")); err != nil {
		t.Fatal(err)
	}
	old := sample()
	for _, e := range old["Debian"] {
		e["modified"] = "2026-01-01T00:00:00Z"
	}
	cases := map[string]struct {
		options osv.Options
		query   osv.Query
		want    string
	}{
		"missing":              {osv.Options{Location: filepath.Join(whole, "nothing")}, debian, "no such file"},
		"no-location":          {osv.Options{}, debian, "no location"},
		"truncated":            {osv.Options{Location: zipped(func(d []byte) []byte { return d[:len(d)-40] })}, debian, "not a valid zip"},
		"cut-in-the-middle":    {osv.Options{Location: zipped(func(d []byte) []byte { return append(d[:300:300], d[500:]...) })}, debian, "zip"},
		"flipped-bit":          {osv.Options{Location: zipped(func(d []byte) []byte { d[100] ^= 1; return d })}, debian, "Debian/all.zip"},
		"empty-file":           {osv.Options{Location: zipped(func([]byte) []byte { return nil })}, debian, "zip"},
		"empty-zip":            {osv.Options{Location: raw("README", "")}, debian, "no JSON file"},
		"half-an-entry":        {osv.Options{Location: raw("a.json", `{"id":"X","modified":"2026-01-01T00:00:00Z"`)}, debian, "not a whole one"},
		"no-entry":             {osv.Options{Location: raw("a.json", `{"affected":[{"package":{"ecosystem":"Debian:13","name":"x"}}]}`)}, debian, "no OSV entry"},
		"wrong-digest":         {osv.Options{Location: filepath.Join(whole, "Debian", "all.zip"), SHA256: strings.Repeat("0", 64)}, debian, "has the digest"},
		"digest-of-directory":  {osv.Options{Location: whole, SHA256: strings.Repeat("0", 64)}, debian, "SHA256SUMS"},
		"stale":                {osv.Options{Location: directory(t, old), MaxAge: 24 * time.Hour}, debian, "too old"},
		"ecosystem-missing":    {osv.Options{Location: whole}, osv.Query{Ecosystem: "npm", Names: []string{"x"}}, "npm"},
		"ecosystem-not-in-zip": {osv.Options{Location: filepath.Join(whole, "Go", "all.zip")}, debian, "no entry for the ecosystem Debian"},
		"release-missing":      {osv.Options{Location: whole}, osv.Query{Ecosystem: "Debian", Releases: []string{"Debian:14"}, Names: []string{"glibc"}}, "none for Debian:14"},
		"symlink-loop":         {osv.Options{Location: loop}, debian, "Debian"},
		"symlink-out":          {osv.Options{Location: outside}, debian, "escapes"},
		"artefact-unsupported": {osv.Options{Location: "oci://registry.example/x"}, debian, "not supported"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, err := ask(t, c.options, c.query)
			if err == nil {
				t.Fatalf("accepted, with %d entries", a.Entries)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: want %q in it", err, c.want)
			}
		})
	}
}

func TestMirrorRefusesErrorsAndDowngrades(t *testing.T) {
	plain := httptest.NewServer(http.FileServer(http.Dir(directory(t, sample()))))
	defer plain.Close()
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer failing.Close()
	if _, err := ask(t, osv.Options{Location: failing.URL}, debian); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("a failing mirror: %v", err)
	}
	short := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("PK"))
	}))
	defer short.Close()
	if _, err := ask(t, osv.Options{Location: short.URL}, debian); err == nil || !strings.Contains(err.Error(), "EOF") {
		t.Errorf("a connection that ends early: %v", err)
	}
}

// bomb makes a zip whose entry unpacks to size zeros and claims claimed bytes.
func bomb(t *testing.T, size int64, claimed uint64) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, err := w.Create("a.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data := buf.Bytes()
	at := bytes.LastIndex(data, []byte("PK\x01\x02")) // the central directory's header
	binary.LittleEndian.PutUint32(data[at+24:], uint32(claimed))
	return data
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBombsAreBounded(t *testing.T) {
	const huge = 1 << 30
	for name, data := range map[string][]byte{"says-so": bomb(t, 1<<20, huge), "does-not": bomb(t, 33<<20, 10)} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "bomb.zip")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err := ask(t, osv.Options{Location: file}, debian)
			if err == nil {
				t.Fatal("accepted")
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
}

// TestHiddenNames checks that no way to write JSON hides a package from the
// look at undecoded bytes.
func TestHiddenNames(t *testing.T) {
	for name, text := range map[string]string{
		"spaces":        `{"id":"X","modified":"2026-11-22T00:00:00Z","affected":[{"package" : { "ecosystem"	: "Debian:13", "name" :   "glibc" }}]}`,
		"escaped-value": `{"id":"X","modified":"2026-11-22T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:13","name":"gl\u0069bc"}}]}`,
		"escaped-key":   `{"id":"X","modified":"2026-11-22T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:13","n\u0061me":"glibc"}}]}`,
		"escaped-place": `{"id":"X","modified":"2026-11-22T00:00:00Z","affected":[{"package":{"\u0065cosystem":"D\u0065bian:13","name":"glibc"}}]}`,
		"name-as-value": `{"id":"X","modified":"2026-11-22T00:00:00Z","summary":"name","x":["name"],"affected":[{"package":{"ecosystem":"Debian:13","name":"glibc"}}]}`,
		"other-names":   `{"id":"X","modified":"2026-11-22T00:00:00Z","credits":[{"name":"A \" B"}],"affected":[{"package":{"ecosystem":"Debian:13","name":"glibc"}}]}`,
		"upper-case":    `{"id":"X","modified":"2026-11-22T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:13","Name":"glibc"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "Debian"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "Debian", "a.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			a, err := ask(t, osv.Options{Location: dir}, debian)
			if name == "upper-case" { // no OSV entry is written so
				if ids(a) != "" {
					t.Error("matched")
				}
				return
			}
			if err != nil || ids(a) != "X" {
				t.Errorf("matches %q, %v", ids(a), err)
			}
		})
	}
}

func TestIndexIsNotBelieved(t *testing.T) {
	dir := directory(t, sample())
	file := filepath.Join(t.TempDir(), "index")
	key := []byte("a key of this machine")
	writeIndex(t, dir, file, key)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "changed")
	try := func(data []byte, o osv.Options) error {
		if err := os.WriteFile(changed, data, 0o600); err != nil {
			t.Fatal(err)
		}
		o.Location = changed
		a, err := ask(t, o, debian)
		if err == nil && ids(a) != "DEBIAN-CVE-2026-1 DEBIAN-CVE-2026-2" {
			t.Errorf("believed a changed index: %s", ids(a))
		}
		return err
	}
	if err := try(data, osv.Options{}); err == nil || !strings.Contains(err.Error(), "not made on this machine") {
		t.Errorf("without a key: %v", err)
	}
	if err := try(data, osv.Options{IndexKey: []byte("another")}); err == nil {
		t.Error("with another key: believed")
	}
	if err := try(data, osv.Options{SHA256: strings.Repeat("0", 64)}); err == nil {
		t.Error("with another digest: believed")
	}
	for at := 0; at < len(data); at += 101 { // a flipped bit and an end in many places
		flipped := bytes.Clone(data)
		flipped[at] ^= 0x10
		_ = try(flipped, osv.Options{IndexKey: key})
		if err := try(data[:at], osv.Options{IndexKey: key}); err == nil && at < len(data)/2 {
			t.Fatalf("believed the first %d of %d bytes", at, len(data))
		}
	}
}

func TestIndexIsReproducible(t *testing.T) {
	dir := directory(t, sample())
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	if writeIndex(t, dir, a, []byte("k")) != writeIndex(t, dir, b, []byte("k")) {
		t.Error("two digests")
	}
	one, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(one, two); diff != "" {
		t.Error("two files")
	}
}

// TestIndexAnswersAsTheDatabase compares both on a database of some size.
func TestIndexAnswersAsTheDatabase(t *testing.T) {
	dir := directory(t, map[string][]scantest.Entry{"Debian": scantest.Many(800, now), "Go": scantest.ManyGo(300, now)})
	file := filepath.Join(t.TempDir(), "index")
	writeIndex(t, dir, file, []byte("k"))
	names := map[string][]string{"Debian": nil, "Go": nil}
	for i := range 300 {
		names["Debian"] = append(names["Debian"], fmt.Sprintf("lib%d", i), fmt.Sprintf("php-%d", i*9))
		names["Go"] = append(names["Go"], fmt.Sprintf("example.org/group%d/module%d", i%200, i))
	}
	for name, list := range names {
		q := osv.Query{Ecosystem: name, Names: list}
		want, err := ask(t, osv.Options{Location: dir}, q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ask(t, osv.Options{Location: file, IndexKey: []byte("k")}, q)
		if err != nil {
			t.Fatal(err)
		}
		if name == "Debian" && len(want.Matches) == 0 {
			t.Error("no match: the test compares nothing")
		}
		if ids(got) != ids(want) || got.Entries != want.Entries || !got.Newest.Equal(want.Newest) || got.SHA256 != want.SHA256 {
			t.Errorf("%s: the index says %d entries, %s, %s; the database %d, %s, %s", name, got.Entries, got.Newest, ids(got), want.Entries, want.Newest, ids(want))
		}
	}
}
