package composer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
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

// vendoredFiles is the directory, beside the vendored archive, of files that
// stand beside a definition. Each is called by its SHA-256.
const vendoredFiles = "local"

// vendor copies everything that a lock and its definition pin by SHA-256 into a
// directory. Packages lie as in a mirror, in DIR/debian/pool and
// DIR/debian-security/pool, what stands beside the definition in DIR/local. A
// locked build with --mirror DIR/debian then needs no archive.
func vendor(ctx context.Context, f *cli.Frame, a *apt.Archive, dir string, s *Source, l *spec.Lock) error {
	packages := map[string]*spec.Package{}
	var bytes int64
	for _, list := range l.Platforms {
		for _, p := range list {
			if p.Archive == spec.Local {
				continue // one of the definition's own, which come below
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
	if err := os.MkdirAll(filepath.Join(dir, apt.ArchiveMain), 0o755); err != nil { // --mirror names it, also with no package in it
		return fmt.Errorf("vendor the packages of %s: %w", l.Name, err)
	}
	local, err := s.vendorFiles(f, filepath.Join(dir, vendoredFiles))
	if err != nil {
		return fmt.Errorf("vendor the files of %s: %w", l.Name, err)
	}
	if local > 0 {
		f.Note("%s: %s from beside the definition", l.Name, counted(local, "file"))
	}
	if from := s.Definition.From; from != nil {
		f.Note("%s: %s, which the image starts from, is not copied: builds still need it", l.Name, from.Image)
	}
	f.Note("%s: %s, %s, in %s: build with --locked --mirror %s", l.Name, counted(len(packages), "package"), cli.Size(bytes), dir, filepath.Join(dir, apt.ArchiveMain))
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

// vendorFiles copies the packages and the files beside a definition, and says
// how many there are. A file without a checksum cannot be found by one.
func (s *Source) vendorFiles(f *cli.Frame, dir string) (int, error) {
	n := 0
	for _, d := range s.Definition.Debs {
		if err := vendorFile(s.beside(d.Source, d.SHA256), d.SHA256, dir); err != nil {
			return n, fmt.Errorf("package %s: %w", d.Source, err)
		}
		n++
	}
	for _, each := range s.Definition.Files {
		if each.SHA256 == "" {
			f.Note("%s: %s has no sha256 in the definition and is not copied: builds still need it beside the definition", s.Definition.Name, each.Source)
			continue
		}
		if err := vendorFile(s.beside(each.Source, each.SHA256), each.SHA256, dir); err != nil {
			return n, fmt.Errorf("file %s: %w", each.Source, err)
		}
		n++
	}
	return n, nil
}

// vendorFile copies a file that has the SHA-256 it should have.
func vendorFile(file, sum, dir string) error {
	if err := mustBeFile(file); err != nil {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // opened for reading
	return atomicfile.Replace(filepath.Join(dir, sum), 0o644, func(out *os.File) error {
		h := sha256.New()
		n, err := io.Copy(io.MultiWriter(out, h), io.LimitReader(in, maxVendored+1))
		if err != nil {
			return err
		}
		if n > maxVendored {
			return fmt.Errorf("%s has more than %s", file, cli.Size(maxVendored))
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != sum {
			return fmt.Errorf("%s has the SHA-256 %s, the definition says %s", file, got, sum)
		}
		return nil
	})
}

// maxVendored bounds a file that is copied, in bytes.
const maxVendored = 2 << 30
