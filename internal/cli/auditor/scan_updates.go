package auditor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/audit/scan"
	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/fresh"
	"github.com/hardstand/hardstand/internal/cli"
)

// archiveFlags are the flags about the signed archive.
type archiveFlags struct {
	mirror  string
	keyring string
	offline bool
}

func (a *archiveFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&a.mirror, "mirror", "", "Debian mirror for --updates: URL or directory of the main archive, and after a comma of the security archive (HARDSTAND_MIRROR)")
	flags.StringVar(&a.keyring, "keyring", "", "trust the OpenPGP keys in this `file` instead of Debian's")
	flags.BoolVar(&a.offline, "offline", false, "for --updates, use only what the cache holds")
}

// offers reads what the archive's signed indexes have for the packages of an
// inventory.
func (a *archiveFlags) offers(ctx context.Context, f *cli.Frame, inv *inventory.Inventory) (*fresh.Offers, error) {
	version, arches := debianOf(inv)
	if version == "" || len(arches) == 0 {
		return nil, errors.New("compare with the archive: no package of a Debian release was found")
	}
	codename := inventory.Codename(version)
	if codename == "" {
		return nil, fmt.Errorf("compare with the archive: Debian %s is no release that is known", version)
	}
	archive, err := a.open(f)
	if err != nil {
		return nil, fmt.Errorf("compare with the archive: %w", err)
	}
	suites := []string{codename, codename + "-updates", codename + "-security"}
	offers, err := archive.Offers(ctx, suites, "main", arches, nil, scan.Debian(inv))
	if err != nil {
		return nil, fmt.Errorf("compare with the archive: %w", err)
	}
	return offers, nil
}

// debianOf returns the release of an inventory and the architectures of its
// packages.
func debianOf(inv *inventory.Inventory) (version string, arches []string) {
	seen := map[string]bool{}
	for _, p := range inv.Packages {
		if v, ok := strings.CutPrefix(p.Ecosystem, "Debian:"); ok {
			version = v
			if p.Arch != "all" && p.Arch != "" {
				seen[p.Arch] = true
			}
		}
	}
	if len(seen) == 0 && version != "" {
		seen["amd64"] = true // nothing but architecture-independent packages: any index has them
	}
	return version, slices.Sorted(maps.Keys(seen))
}

func (a *archiveFlags) open(f *cli.Frame) (*apt.Archive, error) {
	dir, err := f.CacheDir()
	if err != nil {
		return nil, err
	}
	c, err := cache.Open(dir, nil) // only for downloads, which are known by their digest
	if err != nil {
		return nil, err
	}
	opts := apt.Options{Cache: c, Now: f.Now(), Offline: a.offline}
	mirror := a.mirror
	if mirror == "" {
		mirror = f.Getenv("HARDSTAND_MIRROR")
	}
	if mirror == "" {
		opts.Mirrors = apt.HostMirrors("/")
	} else {
		m, err := apt.ParseMirror(absoluteMirror(mirror))
		if err != nil {
			return nil, cli.Usagef("%v", err)
		}
		opts.Mirrors = []apt.Mirror{m}
	}
	if len(opts.Mirrors) == 0 {
		return nil, errors.New("no mirror is known: give --mirror")
	}
	if a.keyring != "" {
		data, err := os.ReadFile(a.keyring)
		if err != nil {
			return nil, err
		}
		keys, err := apt.ParseKeyring(data)
		if err != nil {
			return nil, err
		}
		opts.Keyring = &keys
	}
	return apt.New(opts)
}

// absoluteMirror makes the directories of a mirror absolute.
func absoluteMirror(mirror string) string {
	parts := strings.Split(mirror, ",")
	for i, p := range parts {
		if !strings.Contains(p, "://") {
			if abs, err := filepath.Abs(p); err == nil {
				parts[i] = abs
			}
		}
	}
	return strings.Join(parts, ",")
}
