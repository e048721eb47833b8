package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/deb"
	"github.com/hardstand/hardstand/build/spec"
)

// maxLocalDeb bounds a package beside the definition, in bytes.
const maxLocalDeb = 2 << 30

// fetchDeb brings a package into the cache and returns the path of its file.
func (o Options) fetchDeb(ctx context.Context, p *spec.Package, digest cache.Digest) (string, error) {
	if p.Archive == spec.Local {
		return storeDeb(o.Cache, spec.Deb{Source: p.Path, SHA256: p.SHA256}, o.Debs)
	}
	return o.Archive.Fetch(ctx, apt.Deb{Name: p.Name, Archive: p.Archive, Path: p.Path, SHA256: digest, Size: p.Size})
}

// storeDeb copies a package beside the definition into the cache, unless it is
// there. Nothing reads it before its digest is the definition's.
func storeDeb(c *cache.Cache, d spec.Deb, files map[string]string) (string, error) {
	want, err := cache.ParseDigest(d.SHA256)
	if err != nil {
		return "", fmt.Errorf("read package %s: %w", d.Source, err)
	}
	if file, err := c.File(want); err == nil {
		return file, nil
	}
	name, ok := files[d.SHA256]
	if !ok {
		return "", fmt.Errorf("read package %s: neither in the cache nor beside the definition", d.Source)
	}
	if err := copyDeb(c, name, want); err != nil {
		return "", fmt.Errorf("read package %s: %w", d.Source, err)
	}
	return c.File(want)
}

func copyDeb(c *cache.Cache, name string, want cache.Digest) error {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", name)
	case info.Size() > maxLocalDeb:
		return fmt.Errorf("%s has %d bytes, at most %d", name, info.Size(), int64(maxLocalDeb))
	}
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // opened for reading
	w, err := c.Create()
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.Copy(w, io.LimitReader(in, maxLocalDeb+1)); err != nil {
		return err
	}
	if got := w.Sum(); got != want {
		return fmt.Errorf("%s has the SHA-256 %s, the definition says %s", name, got, want)
	}
	return w.Commit(want)
}

// localDeb is what a package beside the definition says of itself.
type localDeb struct {
	spec.Deb
	size   int64
	stanza deb.Stanza
}

func (l localDeb) name() string { return l.stanza.Get("Package") }

// fits reports whether a package is for a platform.
func (l localDeb) fits(p spec.Platform) bool {
	arch := l.stanza.Get("Architecture")
	return arch == "all" || arch == p.DebianArch()
}

// readDebs reads the packages beside a definition and makes sure that every
// platform has each of them once.
func readDebs(d *spec.Definition, o LockOptions) ([]localDeb, error) {
	var list []localDeb
	var errs []error
	for _, each := range d.Debs {
		l, err := readDeb(each, o)
		list, errs = append(list, l), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, l := range list {
		if !slices.ContainsFunc(d.Platforms, l.fits) {
			errs = append(errs, fmt.Errorf("package %s: %s is for %s, which is no platform of the image", l.name(), l.Source, l.stanza.Get("Architecture")))
		}
		for _, p := range d.Platforms {
			var of []string
			for _, other := range list {
				if other.name() == l.name() && other.fits(p) {
					of = append(of, other.Source)
				}
			}
			switch {
			case len(of) == 0:
				errs = append(errs, fmt.Errorf("package %s: there is none for %s: add it to \"debs\", or leave the platform out", l.name(), p))
			case len(of) > 1 && of[0] == l.Source:
				errs = append(errs, fmt.Errorf("package %s: for %s there are %s and %s: keep one", l.name(), p, of[0], of[1]))
			}
		}
	}
	return list, errors.Join(errs...)
}

func readDeb(d spec.Deb, o LockOptions) (localDeb, error) {
	if o.Cache == nil {
		return localDeb{}, fmt.Errorf("read package %s: no cache to keep it in", d.Source)
	}
	file, err := storeDeb(o.Cache, d, o.Debs)
	if err != nil {
		return localDeb{}, err
	}
	f, err := os.Open(file)
	if err != nil {
		return localDeb{}, fmt.Errorf("read package %s: %w", d.Source, err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil {
		return localDeb{}, fmt.Errorf("read package %s: %w", d.Source, err)
	}
	r, err := deb.NewReader(f, deb.Limits{})
	if err != nil {
		return localDeb{}, fmt.Errorf("read package %s: %w", d.Source, err)
	}
	defer r.Close()
	return localDeb{Deb: d, size: info.Size(), stanza: r.Control().Stanza}, nil
}

// candidates are the packages for a platform as an index would list them, with
// what only an index says: where each is, its size and its digest.
func candidates(list []localDeb, p spec.Platform) (names []string, index []byte) {
	var b bytes.Buffer
	for _, l := range list {
		if !l.fits(p) {
			continue
		}
		names = append(names, l.name())
		fmt.Fprintf(&b, "Filename: %s\nSize: %s\nSHA256: %s\n", l.Source, strconv.FormatInt(l.size, 10), l.SHA256)
		b.Write(bytes.TrimSpace(l.stanza))
		b.WriteString("\n\n")
	}
	return names, b.Bytes()
}
