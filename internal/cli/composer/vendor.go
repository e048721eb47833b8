package composer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli"
)

// maxFetches is how many packages are fetched at once.
const maxFetches = 8

// vendor copies every package that a lock pins into a directory, where they
// lie as in a mirror: DIR/debian/pool and DIR/debian-security/pool. A locked
// build with --mirror DIR/debian then needs no archive.
func vendor(ctx context.Context, f *cli.Frame, a *apt.Archive, dir string, l *spec.Lock) error {
	packages := map[string]*spec.Package{}
	var bytes int64
	for _, list := range l.Platforms {
		for _, p := range list {
			if p.Archive == spec.Local {
				continue // beside the definition, which keeps it
			}
			if packages[p.SHA256] == nil {
				packages[p.SHA256], bytes = p, bytes+p.Size
			}
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxFetches)
	for _, p := range packages {
		g.Go(func() error { return vendorPackage(ctx, a, dir, p) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("vendor the packages of %s: %w", l.Name, err)
	}
	f.Note("%s: %d packages, %s, in %s: build with --locked --mirror %s", l.Name, len(packages), cli.Size(bytes), dir, filepath.Join(dir, apt.ArchiveMain))
	return nil
}

func vendorPackage(ctx context.Context, a *apt.Archive, dir string, p *spec.Package) error {
	digest, err := cache.ParseDigest(p.SHA256)
	if err != nil {
		return err
	}
	if p.Archive != apt.ArchiveMain && p.Archive != apt.ArchiveSecurity {
		return fmt.Errorf("package %s: unknown archive %q", p.Name, p.Archive)
	}
	// Fetch checks that the path stays below pool.
	file, err := a.Fetch(ctx, apt.Deb{Name: p.Name, Archive: p.Archive, Path: p.Path, SHA256: digest, Size: p.Size})
	if err != nil {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("package %s: %w", p.Name, err)
	}
	defer in.Close() //nolint:errcheck // opened for reading
	return atomicfile.Replace(filepath.Join(dir, p.Archive, filepath.FromSlash(p.Path)), 0o644, atomicfile.Copy(in))
}
