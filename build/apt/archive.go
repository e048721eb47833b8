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
	"errors"
	"fmt"
	"iter"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

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
	Offline  bool           // read only what the cache and directories hold, and no index
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
	cache   *cache.Cache
	mirrors []Mirror
	// directories are the mirrors of an offline archive, of which only those
	// that are directories are read.
	directories []Mirror
	keyring     *Keyring
	now         time.Time
	client      *http.Client
	attempts    int
	backoff     time.Duration
	stall       time.Duration
	offline     bool
	progress    func(Progress)
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
	if a.offline { // so that nothing but Fetch has any, and that only directories
		a.directories, a.mirrors = a.mirrors, nil
	}
	return a, nil
}

// ErrGone is wrapped when every mirror says that a file is not there.
var ErrGone = errors.New("no mirror has it any more")

// ErrOffline is wrapped when offline work needs what the cache does not hold.
var ErrOffline = errors.New("not in the cache, and working offline: do without --offline once, or give --mirror with a directory that has it")

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
	for _, m := range slices.Concat(a.mirrors, a.directories) {
		if root := m.root(d.Archive); !a.offline || strings.HasPrefix(root, "file://") {
			urls = append(urls, root+"/"+d.Path)
		}
	}
	if a.offline {
		if p, err := a.cache.File(d.SHA256); err == nil {
			return p, nil
		}
		if len(urls) == 0 {
			return "", fmt.Errorf("fetch %s: %w", d.Name, ErrOffline)
		}
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
