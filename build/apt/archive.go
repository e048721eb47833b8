// Package apt reads a signed Debian archive: it finds mirrors, verifies
// InRelease against the archive's keys, judges freshness, and fetches indexes
// and packages by their SHA-256. It is the only package that talks to the
// archive and the only one that knows OpenPGP. Which mirror answered makes no
// difference to what is accepted.
//
// Formats: the Debian repository format
// (https://wiki.debian.org/DebianRepository/Format) and sources.list(5).
package apt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/hardstand/hardstand/build/inflate"
	"github.com/hardstand/hardstand/build/xz"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/deb"
)

// Options configures an Archive. Cache and Mirrors are required.
type Options struct {
	Cache    *cache.Cache
	Mirrors  []Mirror       // tried in order
	Keyring  *Keyring       // keys to trust in place of Debian's
	Now      time.Time      // when freshness is judged; zero means the clock
	Client   *http.Client   // nil means NewClient
	Attempts int            // per URL; 0 means 4
	Backoff  time.Duration  // before the second attempt, doubling; 0 means 250 ms
	Stall    time.Duration  // window in which some data must arrive; 0 means 30 s
	Offline  bool           // read only what the cache holds
	Progress func(Progress) // called from several goroutines; may be nil
}

// Progress reports bytes that arrived since the last report.
type Progress struct {
	Name   string
	Bytes  int64 // negative when an attempt failed and its bytes are void
	Total  int64 // -1 when unknown
	Cached bool
	Done   bool
}

// Archive reads one archive through several mirrors. It is safe for
// concurrent use.
type Archive struct {
	cache    *cache.Cache
	mirrors  []Mirror
	keyring  *Keyring
	now      time.Time
	client   *http.Client
	attempts int
	backoff  time.Duration
	stall    time.Duration
	offline  bool
	progress func(Progress)
}

// New returns an archive. It does no work yet.
func New(o Options) (*Archive, error) {
	if len(o.Mirrors) == 0 && !o.Offline {
		return nil, errors.New("no Debian mirror: give one with --mirror URL or HARDSTAND_MIRROR")
	}
	a := &Archive{cache: o.Cache, mirrors: o.Mirrors, keyring: o.Keyring, now: o.Now, client: o.Client,
		attempts: o.Attempts, backoff: o.Backoff, offline: o.Offline, progress: o.Progress}
	if a.now.IsZero() {
		a.now = time.Now()
	}
	if a.client == nil {
		a.client = NewClient()
	}
	if a.attempts == 0 {
		a.attempts = defaultAttempts
	}
	if a.backoff == 0 {
		a.backoff = firstBackoff
	}
	if a.stall = o.Stall; a.stall == 0 {
		a.stall = stallTimeout
	}
	if a.progress == nil {
		a.progress = func(Progress) {}
	}
	if a.offline {
		a.mirrors = nil
	}
	return a, nil
}

// ErrGone is wrapped when every mirror says that a file is not there.
var ErrGone = errors.New("no mirror has it any more")

// ErrOffline is wrapped when offline work needs what the cache does not hold.
var ErrOffline = errors.New("not in the cache, and working offline")

// Release fetches and verifies a suite's InRelease. floor is the Date that the
// lock has seen, or zero. A mirror that cannot be reached or lacks the suite
// is passed over for the next; one that serves a bad signature or a stale
// suite is an error at once, because that is what an attack looks like.
func (a *Archive) Release(ctx context.Context, suite string, floor time.Time) (*Release, error) {
	if a.offline {
		return nil, fmt.Errorf("read suite %s: %w", suite, ErrOffline)
	}
	keys, err := a.keysFor(suite)
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, m := range a.mirrors {
		url := m.root(ArchiveOf(suite)) + "/dists/" + suite + "/InRelease"
		var b bytes.Buffer
		err := a.retry(ctx, func() error {
			b.Reset()
			return a.download(ctx, url, &b, -1, maxRelease, nil)
		})
		if err != nil {
			failures = append(failures, fmt.Errorf("fetch %s: %w", url, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		now := a.now
		if !m.AsOf.IsZero() {
			now = m.AsOf
		}
		r, err := ParseRelease(b.Bytes(), suite, keys, now, floor)
		if err != nil {
			return nil, fmt.Errorf("%w (from %s)", err, url)
		}
		return r, nil
	}
	return nil, fmt.Errorf("read suite %s: %w; another mirror can be given with --mirror URL", suite, errors.Join(failures...))
}

func (a *Archive) keysFor(suite string) (Keyring, error) {
	if a.keyring != nil {
		return *a.keyring, nil
	}
	return DebianKeyring(suite)
}

// Packages fetches a suite's index of binary packages for an architecture and
// returns it unpacked: control stanzas separated by blank lines.
func (a *Archive) Packages(ctx context.Context, r *Release, component, arch string) ([]byte, error) {
	name := component + "/binary-" + arch + "/Packages"
	plain, ok := r.files[name]
	packed, suffix, okPacked := r.packed(name)
	if !ok || !okPacked {
		return nil, fmt.Errorf("suite %s has no packages for %s", r.Suite, arch)
	}
	if plain.size > maxPackages {
		return nil, fmt.Errorf("suite %s: index of %d bytes, at most %d", r.Suite, plain.size, maxPackages)
	}
	var urls []string
	for _, m := range a.mirrors {
		dir := m.root(ArchiveOf(r.Suite)) + "/dists/" + r.Suite + "/"
		if r.ByHash {
			urls = append(urls, dir+path.Dir(name)+"/by-hash/SHA256/"+string(packed.digest))
		}
		urls = append(urls, dir+name+suffix)
	}
	out, got, err := a.fetchIndex(ctx, urls, packed, suffix, plain.size, r.Suite+" "+arch)
	if err != nil {
		return nil, fmt.Errorf("suite %s: read %s: %w", r.Suite, name, err)
	}
	if got != plain.digest {
		return nil, fmt.Errorf("suite %s: unpack %s: %w: want sha256:%s, got sha256:%s", r.Suite, name, cache.ErrDigest, plain.digest, got)
	}
	return out, nil
}

// fetchIndex finds an index of size bytes in the cache or fetches it there, and
// unpacks it, as it comes in. It returns the index and its digest.
func (a *Archive) fetchIndex(ctx context.Context, urls []string, f indexFile, suffix string, size int64, what string) ([]byte, cache.Digest, error) {
	out := make([]byte, size)
	if data, err := a.cache.Read(f.digest, f.size); err == nil {
		a.progress(Progress{Name: what, Bytes: f.size, Total: f.size, Cached: true, Done: true})
		digest, err := unpack(out, bytes.NewReader(data), suffix)
		return out, digest, err
	}
	var digest cache.Digest
	err := a.fetchFrom(ctx, urls, func(url string) error {
		r, w := io.Pipe()
		unpacked := make(chan error, 1)
		go func() {
			var err error
			digest, err = unpack(out, r, suffix)
			_, _ = io.Copy(io.Discard, r) // so that what is wrong with the download is said first
			unpacked <- err
		}()
		err := a.fetchOnce(ctx, url, w, f.digest, f.size, what)
		_ = w.CloseWithError(err)
		if wrong := <-unpacked; err == nil && wrong != nil {
			err = permanent(wrong)
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	a.progress(Progress{Name: what, Total: f.size, Done: true})
	return out, digest, nil
}

// packed finds the compressed form of an index. Gzip comes first: it unpacks
// four times as fast as xz, which is all that some suites have.
func (r *Release) packed(name string) (indexFile, string, bool) {
	for _, suffix := range []string{".gz", ".xz"} {
		if f, ok := r.files[name+suffix]; ok {
			return f, suffix, true
		}
	}
	return indexFile{}, "", false
}

// xzDictMax bounds the memory an xz stream may ask for.
const xzDictMax = 64 << 20

// unpackStep is how much is unpacked before it is hashed, in bytes.
const unpackStep = 1 << 20

// unpack unpacks an index to out, which it must fill, and hashes it at the same
// time.
func unpack(out []byte, r io.Reader, suffix string) (cache.Digest, error) {
	var z io.ReadCloser
	var err error
	if suffix == ".xz" {
		z, err = xz.NewReader(r, xzDictMax)
	} else {
		z, err = inflate.NewReader(r)
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = z.Close() }() // it was read to its end, or failed already
	steps, sum := make(chan []byte, len(out)/unpackStep+1), make(chan cache.Digest)
	go func() {
		h := sha256.New()
		for step := range steps {
			h.Write(step)
		}
		sum <- cache.HashOf(h)
	}()
	for rest := out; len(rest) > 0 && err == nil; {
		step := rest[:min(unpackStep, len(rest))]
		if _, err = io.ReadFull(z, step); err == nil {
			rest = rest[len(step):]
			steps <- step
		}
	}
	close(steps)
	digest := <-sum
	if err != nil {
		return "", fmt.Errorf("shorter than the %d bytes announced: %w", len(out), err)
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(z, 1)); err != nil || n > 0 {
		return "", errors.Join(fmt.Errorf("longer than the %d bytes announced", len(out)), err)
	}
	return digest, nil
}

// Deb is a package as a lock or an index names it.
type Deb struct {
	Name    string // for messages
	Archive string // ArchiveMain or ArchiveSecurity
	Path    string // below the archive's root, such as "pool/main/z/zlib/zlib1g_1.3_amd64.deb"
	SHA256  cache.Digest
	Size    int64
}

// maxDeb bounds one package, in bytes.
const maxDeb = 2 << 30

// Fetch brings a package into the cache and returns the path of its file.
func (a *Archive) Fetch(ctx context.Context, d Deb) (string, error) {
	if err := checkPoolPath(d.Path); err != nil {
		return "", fmt.Errorf("fetch %s: %w", d.Name, err)
	}
	if d.Size <= 0 || d.Size > maxDeb {
		return "", fmt.Errorf("fetch %s: size of %d bytes is out of range", d.Name, d.Size)
	}
	var urls []string
	for _, m := range a.mirrors {
		urls = append(urls, m.root(d.Archive)+"/"+d.Path)
	}
	if a.offline {
		p, err := a.cache.File(d.SHA256)
		if err != nil {
			return "", fmt.Errorf("fetch %s: %w", d.Name, ErrOffline)
		}
		return p, nil
	}
	p, err := a.fetchBlob(ctx, urls, d.SHA256, d.Size, d.Name)
	if err != nil {
		return "", fmt.Errorf("fetch package %s: %w", d.Name, err)
	}
	return p, nil
}

// checkPoolPath refuses a Filename that would leave the archive's root or
// change the URL's meaning.
func checkPoolPath(p string) error {
	if p == "" || path.Clean(p) != p || strings.HasPrefix(p, "/") || strings.HasPrefix(p, "../") || p == ".." {
		return fmt.Errorf("bad path %q", p)
	}
	for i := range len(p) {
		c := p[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("/.+-_~%:", rune(c)) {
			return fmt.Errorf("bad character %q in path %q", c, p)
		}
	}
	return nil
}

func stanzas(text string) iter.Seq2[deb.Stanza, error] { return deb.Stanzas([]byte(text)) }
