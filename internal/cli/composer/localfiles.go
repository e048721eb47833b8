package composer

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/cli"
)

// maxLocalFile bounds a file that a definition adds, in bytes.
const maxLocalFile = 1 << 30

// localFiles reads the files that a definition adds, and describes each for
// the SBOM. A file whose checksum is not the definition's is an error.
func (s *Source) localFiles() ([]rootfs.Content, []sbom.Component, error) {
	var files []rootfs.Content
	var described []sbom.Component
	var errs []error
	for _, f := range s.Definition.Files {
		if s.dir == "" && !filepath.IsAbs(f.Source) {
			return nil, nil, fmt.Errorf("add %s: a built-in definition has no files beside it", f.Path)
		}
		source := s.beside(f.Source, f.SHA256)
		data, err := readRegular(source, maxLocalFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("add %s: %w", f.Path, err))
			continue
		}
		sum := sha256.Sum256(data)
		digest := hex.EncodeToString(sum[:])
		if f.SHA256 != "" && subtle.ConstantTimeCompare([]byte(f.SHA256), []byte(digest)) != 1 {
			errs = append(errs, fmt.Errorf("add %s: %s has the SHA-256 %s, the definition says %s", f.Path, source, digest, f.SHA256))
			continue
		}
		id := spec.Users[f.Owner]
		files = append(files, rootfs.Content{Data: data, Entry: rootfs.Entry{
			Path: rootfs.Canonical(strings.TrimPrefix(f.Path, "/"), rootfs.File), Mode: f.Mode, UID: id, GID: id,
		}})
		license := f.License
		if license == "" {
			license = "NOASSERTION"
		}
		described = append(described, sbom.Component{
			Name: strings.TrimPrefix(f.Path, "/"), SHA256: digest, License: license, Note: "a file of the definition at " + f.Path,
		})
	}
	return files, described, errors.Join(errs...)
}

// debs says where the definition's own packages are, by SHA-256. They are read
// when they are needed, and compared with it then.
func (s *Source) debs() map[string]string {
	files := map[string]string{}
	for _, d := range s.Definition.Debs {
		files[d.SHA256] = s.beside(d.Source, d.SHA256)
	}
	return files
}

// beside gives the path of a file that the definition names: beside it or, if
// there is none, the vendored one of its SHA-256. Whoever reads it compares that.
func (s *Source) beside(name, sum string) string {
	if !filepath.IsAbs(name) {
		name = filepath.Join(s.dir, name)
	}
	if s.vendored == "" || sum == "" {
		return name
	}
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return name
	}
	kept := filepath.Join(s.vendored, sum)
	if _, err := os.Lstat(kept); err != nil {
		return name // which is what an error should speak of
	}
	return kept
}

// lockOptions is what the lock of a source depends on.
func (s *Source) lockOptions(c *cache.Cache, floors map[string]time.Time) build.LockOptions {
	return build.LockOptions{Floors: floors, Base: s.base, Debs: s.debs(), Cache: c}
}

// readRegular reads what is a file and not a pipe or a device.
func readRegular(file string, limit int64) ([]byte, error) {
	if err := mustBeFile(file); err != nil {
		return nil, err
	}
	data, err := ReadLimited(file, limit)
	if err != nil {
		return nil, fmt.Errorf("%w (at most %s)", err, cli.Size(limit))
	}
	return data, nil
}
