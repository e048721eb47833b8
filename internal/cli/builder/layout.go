package builder

import (
	"context"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/layout"
	"github.com/hardstand/hardstand/sign/registry"
)

// layoutPrefix begins the name of an image in a directory: oci:DIR[@DIGEST].
const layoutPrefix = "oci:"

// openLayout opens a layout and finds the image in it that is meant.
func openLayout(name string) (*layout.Layout, v1.Hash, error) {
	dir, digest := strings.TrimPrefix(name, layoutPrefix), ""
	if i := strings.LastIndex(dir, "@sha256:"); i >= 0 {
		dir, digest = dir[:i], dir[i+1:]
	}
	l, err := layout.Open(dir)
	if err != nil {
		return nil, v1.Hash{}, err
	}
	h, err := l.Digest(digest)
	if err != nil {
		return nil, v1.Hash{}, errors.Join(err, l.Close())
	}
	return l, h, nil
}

// verifyImage verifies an image of a registry or a layout. The second result
// names it with its digest.
func verifyImage(ctx context.Context, arg string, opts sign.VerifyOptions) (sign.Report, string, error) {
	if !strings.HasPrefix(arg, layoutPrefix) {
		ref, err := registry.ParseReference(arg)
		if err != nil {
			return sign.Report{}, "", cli.Usagef("%v", err)
		}
		report, err := registry.Verify(ctx, ref, registry.Remote{}, opts)
		return report, "oci://" + ref.Context().Digest(report.Digest.String()).Name(), err
	}
	l, digest, err := openLayout(arg)
	if err != nil {
		return sign.Report{}, "", fmt.Errorf("verify %s: %w", arg, err)
	}
	report, err := sign.Verify(ctx, l, digest, opts)
	return report, "urn:oci:" + digest.String(), errors.Join(err, l.Close())
}
