package debtest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Key is an OpenPGP key that signs a test archive.
type Key struct{ entity *openpgp.Entity }

// NewKey makes an Ed25519 key that was created at a time.
func NewKey(t testing.TB, name string, created time.Time) Key {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@example.org", &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return created },
	})
	if err != nil {
		t.Fatal(err)
	}
	return Key{e}
}

// Public returns the armored public key.
func (k Key) Public(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.entity.Serialize(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Sign returns text as a clear-signed message.
func Sign(t testing.TB, text string, at time.Time, keys ...Key) []byte {
	t.Helper()
	var private []*packet.PrivateKey
	for _, k := range keys {
		private = append(private, k.entity.PrivateKey)
	}
	var b bytes.Buffer
	w, err := clearsign.EncodeMulti(&b, private, &packet.Config{Time: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), '\n')
}

// Suite describes one suite of a test archive.
type Suite struct {
	Name       string // such as "trixie" or "trixie-security"
	Date       time.Time
	ValidUntil time.Time // zero for none
	Packages   []Package
	NoByHash   bool
	XZ         bool // the index as Packages.xz only, as Debian's smaller suites have it
	Unsigned   bool
	Lie        int64 // added to the size that is signed for the unpacked index
	// Architectures is what the suite has indexes for; none means Architectures.
	Architectures []string
}

// Archive is a signed archive in memory: file paths such as
// "debian/dists/trixie/InRelease" to contents. Tests change Files to do harm.
type Archive struct {
	Key   Key
	Files map[string][]byte

	mu       sync.Mutex
	requests map[string]int
}

// NewArchive builds the suites, signed with one new key.
func NewArchive(t testing.TB, suites ...Suite) *Archive {
	t.Helper()
	a := &Archive{Key: NewKey(t, "Test Archive", Epoch.AddDate(-1, 0, 0)), Files: map[string][]byte{}, requests: map[string]int{}}
	for _, s := range suites {
		a.Add(t, s)
	}
	return a
}

// Architectures are those that a test suite has indexes for unless it says
// otherwise.
var Architectures = []string{"amd64", "arm64"}

// Add builds a suite into the archive, or replaces it.
func (a *Archive) Add(t testing.TB, s Suite) {
	t.Helper()
	root := "debian"
	if strings.HasSuffix(s.Name, "-security") {
		root = "debian-security"
	}
	if s.Date.IsZero() {
		s.Date = Epoch
	}
	dist := root + "/dists/" + s.Name + "/"
	var sums strings.Builder
	if len(s.Architectures) == 0 {
		s.Architectures = Architectures
	}
	for _, arch := range s.Architectures {
		index := []byte(a.index(t, root, s, arch))
		forms := map[string][]byte{"Packages": index, "Packages.gz": Compress(t, "gz", index)}
		if s.XZ {
			forms = map[string][]byte{"Packages": index, "Packages.xz": Compress(t, "xz", index)}
		}
		for name, data := range forms {
			full := "main/binary-" + arch + "/" + name
			sum := fmt.Sprintf("%x", sha256.Sum256(data))
			a.Files[dist+full] = data
			if !s.NoByHash {
				a.Files[dist+path.Dir(full)+"/by-hash/SHA256/"+sum] = data
			}
			size := int64(len(data))
			if name == "Packages" && len(data) > 0 {
				size += s.Lie
			}
			fmt.Fprintf(&sums, " %s %d %s\n", sum, size, full)
		}
	}
	release := fmt.Sprintf("Origin: Test\nSuite: %s\nCodename: %s\nVersion: 13.1\nDate: %s\n", s.Name, s.Name, stamp(s.Date))
	if !s.ValidUntil.IsZero() {
		release += "Valid-Until: " + stamp(s.ValidUntil) + "\n"
	}
	if !s.NoByHash {
		release += "Acquire-By-Hash: yes\n"
	}
	release += "SHA256:\n" + sums.String()
	a.Files[dist+"InRelease"] = Sign(t, release, s.Date, a.Key)
	if s.Unsigned {
		a.Files[dist+"InRelease"] = []byte(release)
	}
}

func stamp(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05") + " UTC" }

func (a *Archive) index(t testing.TB, root string, s Suite, arch string) string {
	var b strings.Builder
	for _, p := range s.Packages {
		p = p.withDefaults()
		if p.Architecture != "all" && p.Architecture != arch {
			continue
		}
		data := p.Build(t)
		name := fmt.Sprintf("pool/main/%s/%s_%s_%s.deb", p.Name, p.Name, strings.ReplaceAll(p.Version, ":", "%3a"), p.Architecture)
		a.Files[root+"/"+name] = data
		fmt.Fprintf(&b, "%sFilename: %s\nSize: %d\nSHA256: %x\n\n", p.Control(), name, len(data), sha256.Sum256(data))
	}
	return b.String()
}

// ServeHTTP serves the files and counts the requests for each.
func (a *Archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	a.mu.Lock()
	a.requests[name]++
	data, ok := a.Files[name]
	a.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	_, _ = w.Write(data)
}

// Requests returns how often a file was asked for.
func (a *Archive) Requests(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests[name]
}

// Serve serves the archive on loopback until the test ends. middleware, which
// may be nil, wraps the handler. The main archive is at URL + "/debian".
func (a *Archive) Serve(t testing.TB, middleware func(http.Handler) http.Handler) *httptest.Server {
	t.Helper()
	var h http.Handler = a
	if middleware != nil {
		h = middleware(a)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// WriteTo writes the archive below dir, for a mirror on disk.
func (a *Archive) WriteTo(t testing.TB, dir string) {
	t.Helper()
	for name, data := range a.Files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
