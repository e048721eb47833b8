package composer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign/keysign"
)

// signOptions are the flags that sign what is said about a layout's images.
type signOptions struct {
	key          string
	passwordFile string
}

func (o *signOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.key, "key", "", "sign the images of a layout, and what is said about them, with this private key `file`: hardstand keygen's, or a plain PEM")
	flags.StringVar(&o.passwordFile, "password-file", "", "read the key's passphrase from this `file`")
}

// load opens the key before anything is built; without --key it returns nil.
func (o *signOptions) load(ctx context.Context, f *cli.Frame, target output) (*keysign.Key, error) {
	if o.key == "" {
		return nil, nil
	}
	if target.kind != "oci" {
		return nil, cli.Usagef("--key goes with an OCI layout: %s has no place for a signature", target.kind)
	}
	if strings.Contains(o.key, "://") {
		return nil, cli.Usagef("--key %s: build signs with a key in a file; publish signs with a key of a KMS", o.key)
	}
	data, err := ReadLimited(o.key, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	var passphrase []byte
	if keysign.Sealed(data) {
		if passphrase, err = f.Passphrase(ctx, os.LookupEnv, o.passwordFile, false); err != nil {
			return nil, err
		}
	}
	key, err := keysign.Load(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("read signing key %s: %w", o.key, err)
	}
	return key, nil
}

// signatureType is the predicate type of cosign's signatures.
const signatureType = "https://sigstore.dev/cosign/sign/v1"

// sign signs each image and the index, and every claim about them: sigstore
// bundles, one a line. Without a key there are none.
func sign(r *build.Result, key *keysign.Key) ([]byte, error) {
	if key == nil {
		return nil, nil
	}
	index, err := r.Index.Digest()
	if err != nil {
		return nil, err
	}
	claims := []build.Claim{{Subject: index, PredicateType: signatureType, Predicate: []byte("{}")}}
	for _, img := range r.Images {
		claims = append(claims, build.Claim{Subject: img.Digest, PredicateType: signatureType, Predicate: []byte("{}")})
	}
	var out bytes.Buffer
	for _, c := range append(claims, r.Claims...) {
		bundle, err := key.Bundle(c.Statement())
		if err != nil {
			return nil, err
		}
		out.Write(bundle)
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

// writeSignatures writes what sign made beside the layout. Where that is nothing
// it removes the file of an earlier build.
func writeSignatures(dir string, bundles []byte) error {
	file := filepath.Join(dir, oci.SignaturesFile)
	if bundles == nil {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove old signatures: %w", err)
		}
		return nil
	}
	if err := atomicfile.Update(file, bundles, 0o644); err != nil {
		return fmt.Errorf("write signatures: %w", err)
	}
	return nil
}

// writeClaims puts what can be said about the images of a layout beside it, so
// that publishing the layout later loses nothing.
func writeClaims(dir string, r *build.Result) error {
	var out bytes.Buffer
	for _, c := range r.Claims {
		out.Write(c.Statement())
		out.WriteByte('\n')
	}
	if err := atomicfile.Update(filepath.Join(dir, oci.ClaimsFile), out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write attestations: %w", err)
	}
	return nil
}
