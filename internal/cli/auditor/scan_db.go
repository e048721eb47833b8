package auditor

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit/scan/osv"
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli"
)

// open finds the database.
func (o *scanOptions) open(ctx context.Context, f *cli.Frame) (*osv.Database, error) {
	return osv.Open(ctx, osv.Options{
		Location: o.db, SHA256: o.dbSHA256, MaxAge: o.maxDBAge, Now: f.Now(), IndexKey: indexKey(f, false), Artefact: artefact,
	})
}

// indexKey returns the key that authenticates indexes of this machine. Without
// a place to keep one there is none, and an index counts by its digest only.
func indexKey(f *cli.Frame, create bool) []byte {
	dir, err := f.ConfigDir()
	if err != nil {
		return nil
	}
	file := filepath.Join(dir, "osv-index.key")
	if !create {
		key, err := os.ReadFile(file)
		if err != nil {
			return nil
		}
		return key
	}
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil
	}
	key, err := atomicfile.Keep(file, fresh)
	if err != nil {
		return nil
	}
	return key
}

// title is the annotation under which OCI artefacts name their files.
const title = "org.opencontainers.image.title"

// artefact opens an OCI artefact: oci://REFERENCE in a registry, or oci:DIR.
// Its layers are the files.
func artefact(ctx context.Context, location string) (map[string]func() (io.ReadCloser, error), string, error) {
	img, err := artefactImage(ctx, location)
	if err != nil {
		return nil, "", err
	}
	raw, err := img.RawManifest()
	if err != nil {
		return nil, "", err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return nil, "", err
	}
	files := map[string]func() (io.ReadCloser, error){}
	for _, d := range manifest.Layers {
		if d.Annotations[title] == "" {
			continue
		}
		files[d.Annotations[title]] = func() (io.ReadCloser, error) {
			layer, err := img.LayerByDigest(d.Digest)
			if err != nil {
				return nil, err
			}
			r, err := layer.Compressed()
			return &verified{ReadCloser: r, want: d.Digest, sum: sha256.New()}, err
		}
	}
	if len(files) == 0 {
		return nil, "", fmt.Errorf("no layer of %s has a title such as Debian/all.zip", location)
	}
	return files, fmt.Sprintf("%x", sha256.Sum256(raw)), nil
}

func artefactImage(ctx context.Context, location string) (v1.Image, error) {
	if ref, ok := strings.CutPrefix(location, "oci://"); ok {
		r, err := name.ParseReference(ref)
		if err != nil {
			return nil, cli.Usagef("--db: %v", err)
		}
		return remote.Image(r, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	}
	idx, err := layout.ImageIndexFromPath(strings.TrimPrefix(location, "oci:"))
	if err != nil {
		return nil, err
	}
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(m.Manifests) != 1 {
		return nil, fmt.Errorf("%s holds %d manifests, want one", location, len(m.Manifests))
	}
	return idx.Image(m.Manifests[0].Digest)
}

// verified compares a layer with its digest at the end.
type verified struct {
	io.ReadCloser
	want v1.Hash
	sum  hash.Hash
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.sum.Write(p[:n])
	if err != io.EOF {
		return n, err
	}
	if got := fmt.Sprintf("sha256:%x", v.sum.Sum(nil)); got != v.want.String() {
		return n, fmt.Errorf("the layer has the digest %s, and its manifest says %s", got, v.want)
	}
	return n, err
}

type scanIndexOptions struct {
	db, sha256, output string
	ecosystems         []string
}

func scanIndexCommand(f *cli.Frame) *cobra.Command {
	o := scanIndexOptions{}
	cmd := &cobra.Command{
		Use:   "index",
		Short: "Make an index of an OSV database, with which a scan takes milliseconds",
		Long: `Sort an OSV database by package into one file. A scan reads only what it needs of
it and verifies every byte that it reads: by a key of this machine, or anywhere
by the digest that is printed (--db-sha256).`,
		Example: `  hardstand scan index --db osv -o osv.index
  hardstand scan oci:static --db osv.index`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runScanIndex(cmd.Context(), f, o) },
	}
	cmd.Flags().StringVar(&o.db, "db", "", "OSV database: directory, zip, http(s) address, oci://REFERENCE or oci:DIR")
	cmd.Flags().StringVar(&o.sha256, "db-sha256", "", "digest that the database must have")
	cmd.Flags().StringSliceVar(&o.ecosystems, "ecosystem", nil, "what to take, such as Debian,Go (default: all of a directory or zip)")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "`file` to write")
	return cmd
}

func runScanIndex(ctx context.Context, f *cli.Frame, o scanIndexOptions) error {
	if o.db == "" || o.output == "" {
		return cli.Usagef("an index needs --db and --output")
	}
	db, err := osv.Open(ctx, osv.Options{Location: o.db, SHA256: o.sha256, Now: time.Time{}, IndexKey: indexKey(f, true), Artefact: artefact})
	if err != nil {
		return err
	}
	sum := ""
	err = atomicfile.Replace(o.output, 0o644, func(w *os.File) error {
		sum, err = osv.WriteIndex(ctx, w, db, o.ecosystems)
		return err
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(f.Stdout, "sha256:%s\n", sum)
	return err
}
