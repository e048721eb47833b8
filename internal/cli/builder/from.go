package builder

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/composer"
	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/registry"
)

// openFrom gives the commands that compose the image that a definition starts
// from: verified first, and then read by the digest that was verified.
func openFrom(f *cli.Frame) composer.OpenFrom {
	return func(ctx context.Context, from *spec.From, dir string) (*build.Base, error) {
		b, err := verifiedBase(ctx, f, from, dir)
		var refused *sign.RefusedError
		if errors.As(err, &refused) {
			return nil, &cli.RefusedError{Err: fmt.Errorf("start from %s: %w", from.Image, err)}
		}
		if err != nil {
			return nil, fmt.Errorf("start from %s: %w", from.Image, err)
		}
		return b, nil
	}
}

func verifiedBase(ctx context.Context, f *cli.Frame, from *spec.From, dir string) (*build.Base, error) {
	opts, err := fromTrust(ctx, f, from, dir)
	if err != nil {
		return nil, err
	}
	if from.InLayout() {
		return layoutBase(ctx, from, dir, opts)
	}
	ref, err := registry.ParseReference(from.Image)
	if err != nil {
		return nil, err
	}
	digest, ok := ref.(name.Digest)
	if !ok {
		return nil, errors.New("it names no digest")
	}
	report, err := registry.Verify(ctx, digest, registry.Remote{}, opts)
	if err != nil {
		return nil, err
	}
	index, img, err := registry.Image(ctx, digest, registry.Remote{})
	if err != nil {
		return nil, err
	}
	b := &build.Base{Reference: from.Image, SignedBy: signers(report)}
	b.Index, err = asIndex(index, img)
	return b, err
}

// layoutBase is verifiedBase for an image in a directory, which stays open: the
// build reads its layers when it needs them, and compares their digests.
func layoutBase(ctx context.Context, from *spec.From, dir string, opts sign.VerifyOptions) (*build.Base, error) {
	name := strings.TrimPrefix(from.Image, layoutPrefix)
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	l, digest, err := openLayout(name)
	if err != nil {
		return nil, err
	}
	report, err := sign.Verify(ctx, l, digest, opts)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	index, img, err := l.Image(digest)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	b := &build.Base{Reference: from.Image, SignedBy: signers(report)}
	b.Index, err = asIndex(index, img)
	return b, err
}

// fromTrust reads whose signature the image must have.
func fromTrust(ctx context.Context, f *cli.Frame, from *spec.From, dir string) (sign.VerifyOptions, error) {
	trust := trustOptions{identity: from.Identity, issuer: from.Issuer, trustedRoot: from.TrustedRoot}
	if trust.trustedRoot != "" && !filepath.IsAbs(trust.trustedRoot) {
		trust.trustedRoot = filepath.Join(dir, trust.trustedRoot)
	}
	if !strings.HasPrefix(strings.TrimSpace(from.Key), "-----BEGIN") {
		if from.Key != "" {
			file := from.Key
			if !sign.IsKMSReference(file) && !filepath.IsAbs(file) {
				file = filepath.Join(dir, file)
			}
			trust.keys = []string{file}
		}
		return trust.options(ctx, f, "from")
	}
	keys, err := sign.LoadPublicKeys([]byte(from.Key))
	if err != nil {
		return sign.VerifyOptions{}, fmt.Errorf("read the public key in the definition: %w", err)
	}
	return sign.VerifyOptions{Platforms: true, Now: f.Now(), Keys: keys}, nil
}

// signers names who signed, each once.
func signers(r sign.Report) []string {
	var list []string
	for _, e := range r.Signatures {
		list = append(list, signedBy(e))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// asIndex makes an index of a single image.
func asIndex(index v1.ImageIndex, img v1.Image) (v1.ImageIndex, error) {
	if index != nil {
		return index, nil
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	platform, err := spec.ParsePlatform(strings.TrimSuffix(config.OS+"/"+config.Architecture+"/"+config.Variant, "/"))
	if err != nil {
		return nil, err
	}
	return oci.NewIndex(oci.OCI, []oci.PlatformImage{{Platform: platform, Image: img}}, nil)
}
