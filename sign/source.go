package sign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ErrNotFound is what a [Source] returns for content it does not have.
var ErrNotFound = errors.New("not found")

// Source reads one repository. Implementations return [ErrNotFound] (wrapped or
// not) for what is absent and any other error for what they could not find out.
type Source interface {
	// Manifest returns the manifest with the digest.
	Manifest(ctx context.Context, digest v1.Hash) (Manifest, error)
	// Tagged returns the manifest that a tag names.
	Tagged(ctx context.Context, tag string) (Manifest, error)
	// Blob opens the blob with the digest.
	Blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error)
	// Referrers lists the manifests that name digest as their subject. An image
	// without any is an empty list, not an error.
	Referrers(ctx context.Context, digest v1.Hash) ([]v1.Descriptor, error)
}

// Manifest is a manifest as stored.
type Manifest struct {
	MediaType types.MediaType
	Raw       []byte
}

// Layer is one blob of a signature artifact with what its manifest says of it.
type Layer struct {
	MediaType   types.MediaType
	Data        []byte
	Annotations map[string]string
}

// Media types and annotations of the two storage forms: cosign
// specs/SIGNATURE_SPEC.md and specs/BUNDLE_SPEC.md.
const (
	mediaTypeSimpleSigning = types.MediaType("application/vnd.dev.cosign.simplesigning.v1+json")
	mediaTypeDSSE          = types.MediaType("application/vnd.dsse.envelope.v1+json")

	// MediaTypeBundle is the artifact type and the layer type of a bundle.
	MediaTypeBundle = types.MediaType("application/vnd.dev.sigstore.bundle.v0.3+json")

	annotationSignature     = "dev.cosignproject.cosign/signature"
	annotationCertificate   = "dev.sigstore.cosign/certificate"
	annotationPredicateType = "predicateType"
)

// SignatureTag is the tag of the legacy signatures of a digest.
func SignatureTag(digest v1.Hash) string {
	return ReferrersTag(digest) + ".sig"
}

// AttestationTag is the tag of the legacy attestations of a digest.
func AttestationTag(digest v1.Hash) string {
	return ReferrersTag(digest) + ".att"
}

// ReferrersTag is the tag of the list of referrers in a registry without the
// referrers API: OCI distribution-spec, "Referrers Tag Schema".
func ReferrersTag(digest v1.Hash) string {
	return digest.Algorithm + "-" + digest.Hex
}

// IsAttachedTag reports whether a tag belongs to a digest's signatures,
// attestations, SBOM or referrers rather than to a release.
func IsAttachedTag(tag string) bool {
	rest, ok := strings.CutPrefix(tag, "sha256-")
	if !ok || len(rest) < 64 {
		return false
	}
	switch rest[64:] {
	case "", ".sig", ".att", ".sbom":
	default:
		return false
	}
	_, err := v1.NewHash("sha256:" + rest[:64])
	return err == nil
}

// Limits on what is read from a registry for one image.
const (
	maxManifest    = 4 << 20  // bytes, as in the OCI distribution-spec
	maxSignature   = 64 << 10 // bytes of a simple-signing payload
	maxAttestation = 64 << 20 // bytes of a bundle or an envelope
	maxReferrers   = 512      // referrers of one digest
	maxLayers      = 512      // signatures in one legacy manifest
	maxPlatforms   = 128      // manifests in one index
	parallelReads  = 8
)

// checkDigest hashes what was read: a registry that answers with other bytes
// than asked for is not believed.
func checkDigest(data []byte, want v1.Hash) error {
	got, err := hashAs(want.Algorithm, data)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("read %s: got other content, %s", want, got)
	}
	return nil
}

func hashAs(algorithm string, data []byte) (v1.Hash, error) {
	h, err := v1.Hasher(algorithm)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("hash content: %w", err)
	}
	h.Write(data)
	return v1.Hash{Algorithm: algorithm, Hex: fmt.Sprintf("%x", h.Sum(nil))}, nil
}

// readBlob reads a small blob and checks its digest.
func readBlob(ctx context.Context, src Source, digest v1.Hash, limit int64) (data []byte, err error) {
	blob, err := src.Blob(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, blob.Close()) }()
	data, err = io.ReadAll(io.LimitReader(blob, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", digest, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read blob %s: more than %d bytes", digest, limit)
	}
	return data, checkDigest(data, digest)
}
