package composer

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/images"
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli"
)

// Source is a definition with its lock, built in or from a file.
type Source struct {
	Definition *spec.Definition
	Variant    string      // "" for the image itself
	Lock       *spec.Lock  // nil when there is none
	lockErr    error       // why the lock that is there cannot be used
	base       *build.Base // the image that the definition starts from, once it is open
	dir        string      // of the definition; empty for a built-in image
	vendored   string      // directory of files by SHA-256 that may stand in for those beside it, or empty
	lockFile   string      // where lock is written; empty for a built-in image
}

// ReadLimited reads a file that must not be larger than limit bytes.
func ReadLimited(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()                                     //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(f, limit+1)) // a device or a pipe has no size to ask for
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: more than %d bytes", file, limit)
	}
	return data, nil
}

func builtin() []string {
	var names []string
	entries, err := images.Files.ReadDir(".")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok {
			names = append(names, name)
		}
	}
	return names
}

// archiveOptions are the flags about where packages come from.
type archiveOptions struct {
	mirror  string
	keyring string
	offline bool

	// From opens the images that definitions start from.
	From OpenFrom
}

func (o *archiveOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.mirror, "mirror", "", "Debian mirror: URL or directory of the main archive, and after a comma of the security archive (HARDSTAND_MIRROR)")
	flags.StringVar(&o.keyring, "keyring", "", "trust the OpenPGP keys in this `file` instead of Debian's")
	flags.BoolVar(&o.offline, "offline", false, "use only what the cache holds, and directories given as --mirror")
}

// open returns the archive: --mirror or HARDSTAND_MIRROR, else the host's apt
// sources, else the snapshot service at the definition's timestamp.
func (o *archiveOptions) open(f *cli.Frame, c *cache.Cache, d *spec.Definition, p *cli.Progress) (*apt.Archive, error) {
	opts := apt.Options{Cache: c, Now: f.Now(), Offline: o.offline, Progress: func(e apt.Progress) {
		p.Bytes(e.Name, e.Bytes, e.Total)
	}}
	mirror := o.mirror
	if mirror == "" {
		mirror = f.Getenv("HARDSTAND_MIRROR")
	}
	if mirror != "" {
		m, err := apt.ParseMirror(absolute(mirror))
		if err != nil {
			return nil, cli.Usagef("%v", err)
		}
		opts.Mirrors = []apt.Mirror{m}
	} else {
		opts.Mirrors = apt.HostMirrors("/")
		if !d.Debian.Snapshot.IsZero() {
			opts.Mirrors = append(opts.Mirrors, apt.SnapshotMirror(d.Debian.Snapshot))
		}
	}
	if o.keyring != "" {
		data, err := ReadLimited(o.keyring, 4<<20)
		if err != nil {
			return nil, err
		}
		keys, err := apt.ParseKeyring(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.keyring, err)
		}
		opts.Keyring = &keys
	}
	return apt.New(opts)
}

// vendored finds what lock --vendor put beside the archive that is the mirror.
func (o *archiveOptions) vendored(f *cli.Frame) string {
	main, _, _ := strings.Cut(absolute(cmp.Or(o.mirror, f.Getenv("HARDSTAND_MIRROR"))), ",")
	main = strings.TrimPrefix(main, "file://")
	if !filepath.IsAbs(main) {
		return ""
	}
	return filepath.Join(filepath.Dir(filepath.Clean(main)), vendoredFiles)
}

// floors gives the dates that no suite may be older than: those of the given
// lock, and, for Debian's own archive, of the built-in images.
func (o *archiveOptions) floors(sources ...*Source) map[string]time.Time {
	floors := map[string]time.Time{}
	if o.keyring == "" {
		for _, name := range builtin() {
			if s, err := LoadSource(name); err == nil {
				sources = append(sources, s)
			}
		}
	}
	for _, s := range sources {
		for suite, date := range s.Lock.Floors() {
			if date.After(floors[suite]) {
				floors[suite] = date
			}
		}
	}
	return floors
}

// absolute makes the directories of a mirror absolute.
func absolute(mirror string) string {
	parts := strings.Split(mirror, ",")
	for i, p := range parts {
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			if abs, err := filepath.Abs(p); err == nil {
				parts[i] = abs
			}
		}
	}
	return strings.Join(parts, ",")
}

// openCache opens the cache with the secret that its records are authenticated
// by. Where the secret cannot be kept, the cache still holds downloads.
func openCache(f *cli.Frame) (*cache.Cache, error) {
	dir, err := f.CacheDir()
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	if config, err := f.ConfigDir(); err == nil {
		if kept, err := atomicfile.Keep(filepath.Join(config, "cache.key"), secret); err == nil {
			secret = kept
		}
	}
	return cache.Open(dir, secret)
}

// ready returns a lock that fits the definition. With locked set it must exist;
// otherwise a missing or stale one is made anew, in memory.
func (s *Source) ready(ctx context.Context, f *cli.Frame, a *apt.Archive, c *cache.Cache, from *archiveOptions, locked bool, platforms []spec.Platform) (*spec.Lock, error) {
	d := s.Definition
	if s.lockErr != nil {
		return nil, fmt.Errorf("%w (hardstand lock --replace makes a new one)", s.lockErr)
	}
	if s.Lock != nil && s.Lock.Matches(d) {
		return s.Lock, nil
	}
	if locked {
		if s.Lock == nil {
			return nil, fmt.Errorf("image %s has no lock: run hardstand lock", d.Name)
		}
		return nil, fmt.Errorf("image %s: %w", d.Name, build.ErrStaleLock)
	}
	what := "has no lock"
	if s.Lock != nil {
		what = "has changed since it was locked"
	}
	f.Note("image %s %s: resolving against the archive (hardstand lock would pin the result)", d.Name, what)
	return s.resolve(ctx, a, c, from, platforms)
}

// resolve makes a lock that is not kept, for the chosen platforms.
func (s *Source) resolve(ctx context.Context, a *apt.Archive, c *cache.Cache, from *archiveOptions, platforms []spec.Platform) (*spec.Lock, error) {
	o := s.lockOptions(c, from.floors(s))
	o.Platforms = platforms
	l, err := build.LockWith(ctx, a, s.Definition, o)
	runtime.GC() // the indexes are most of what is in memory, and nothing needs them any more
	return l, err
}

// epoch reads SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/).
func epoch(f *cli.Frame) (time.Time, error) {
	v := f.Getenv("SOURCE_DATE_EPOCH")
	if v == "" {
		return time.Time{}, nil
	}
	const lastSecond = 253402300799 // of the year 9999, the last that RFC 3339 can write
	seconds, err := strconv.ParseInt(v, 10, 64)
	if err != nil || seconds < 0 || seconds > lastSecond {
		return time.Time{}, cli.Usagef("SOURCE_DATE_EPOCH is %q: want whole seconds since 1970", v)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// parsePlatforms reads the value of --platform.
func parsePlatforms(list []string) ([]spec.Platform, error) {
	var platforms []spec.Platform
	for _, s := range list {
		p, err := spec.ParsePlatform(s)
		if err != nil {
			return nil, cli.Usagef("%v", err)
		}
		platforms = append(platforms, p)
	}
	return platforms, nil
}
