package sign

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// VerifyOptions says whose signature counts and what must be attested. At least
// one key or one identity is required: there is no way to ask for "any".
type VerifyOptions struct {
	// Keys are the public keys accepted.
	Keys []Key
	// Identities are the certificate identities accepted, judged by TrustedRoot.
	Identities  []Identity
	TrustedRoot *TrustedRoot
	// Forms lists the storage forms that must all carry a valid signature;
	// empty accepts either.
	Forms []Form
	// Platforms demands that every platform manifest of an index is signed too.
	// Required attestations of an index may then be on the index or on every
	// platform.
	Platforms bool
	// Layers reads every layer and configuration and compares its digest, of an
	// index those of all its platforms. Whoever pulls by digest does the same;
	// this finds out before.
	Layers bool
	// Require lists attestations that must exist, and what they must say.
	Require []Requirement
	// Now is when the check happens; zero is the present.
	Now time.Time
}

func (o VerifyOptions) now() time.Time {
	if o.Now.IsZero() {
		return time.Now()
	}
	return o.Now
}

func (o VerifyOptions) validate() error {
	if len(o.Keys) == 0 && len(o.Identities) == 0 {
		return errors.New("no key and no identity given: nobody's signature could be accepted")
	}
	if len(o.Identities) > 0 && o.TrustedRoot == nil {
		return errors.New("identities given without a trusted root to judge certificates by")
	}
	for _, k := range o.Keys {
		if k.verifier == nil {
			return errors.New("a key was not loaded with LoadPublicKeys")
		}
	}
	for _, id := range o.Identities {
		if err := id.validate(); err != nil {
			return err
		}
	}
	return nil
}

// Verify checks that the image or index with the digest is signed as opts
// demands. The error is a *[RefusedError] when the answer is no; any other error
// means that the answer is unknown, and is to be treated as no. The report is
// complete in the first case, and in the second as far as it got.
func Verify(ctx context.Context, src Source, digest v1.Hash, opts VerifyOptions) (Report, error) {
	if err := opts.validate(); err != nil {
		return Report{}, fmt.Errorf("verify %s: %w", digest, err)
	}
	report, err := examine(ctx, src, digest, "", opts)
	if err != nil {
		return report, fmt.Errorf("verify %s: %w", digest, err)
	}
	return report, report.Judge(opts)
}

// Examine collects what opts accepts as evidence for an image and for all its
// platforms, and judges none of it: the report may show an unsigned image.
func Examine(ctx context.Context, src Source, digest v1.Hash, opts VerifyOptions) (Report, error) {
	if err := opts.validate(); err != nil {
		return Report{}, fmt.Errorf("examine %s: %w", digest, err)
	}
	opts.Platforms = true
	report, err := examine(ctx, src, digest, "", opts)
	if err != nil {
		return report, fmt.Errorf("examine %s: %w", digest, err)
	}
	return report, nil
}

// Judge decides about the evidence in a report of [Examine]; the answer no is a
// *[RefusedError]. It sets the refusals of the report and its platforms.
func (r *Report) Judge(opts VerifyOptions) error {
	if refusals := r.judge(opts); len(refusals) > 0 {
		return &RefusedError{Refusals: refusals}
	}
	return nil
}

// examine collects the evidence for one digest and, if asked, its platforms.
func examine(ctx context.Context, src Source, digest v1.Hash, platform string, opts VerifyOptions) (Report, error) {
	report := Report{Digest: digest, Platform: platform}
	m, err := readManifest(ctx, src, digest)
	if err != nil {
		return report, err
	}
	report.MediaType = m.MediaType
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return report.collect(ctx, src, opts) })
	if opts.Layers && m.MediaType.IsImage() {
		group.Go(func() (err error) {
			report.layers, err = checkLayers(ctx, src, m)
			return err
		})
	}
	if (opts.Platforms || opts.Layers) && m.MediaType.IsIndex() {
		group.Go(func() (err error) {
			report.Platforms, err = examinePlatforms(ctx, src, m, opts)
			return err
		})
	}
	return report, group.Wait()
}

func examinePlatforms(ctx context.Context, src Source, index Manifest, opts VerifyOptions) ([]Report, error) {
	children, err := Platforms(index)
	if err != nil {
		return nil, err
	}
	reports := make([]Report, len(children))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for i, c := range children {
		group.Go(func() (err error) {
			reports[i], err = examine(ctx, src, c.Digest, platformName(c), VerifyOptions{
				Keys: opts.Keys, Identities: opts.Identities, TrustedRoot: opts.TrustedRoot, Now: opts.Now, Layers: opts.Layers, Forms: opts.Forms,
			})
			return err
		})
	}
	return reports, group.Wait()
}

// Platforms lists the images of an index. Nested indexes are refused: no
// consumer agrees with another on what they mean.
func Platforms(index Manifest) ([]v1.Descriptor, error) {
	var m v1.IndexManifest
	if err := json.Unmarshal(index.Raw, &m); err != nil {
		return nil, fmt.Errorf("parse index: %w", err)
	}
	if len(m.Manifests) > maxPlatforms {
		return nil, fmt.Errorf("parse index: more than %d manifests", maxPlatforms)
	}
	for _, d := range m.Manifests {
		if d.MediaType.IsIndex() {
			return nil, fmt.Errorf("parse index: %s is an index inside an index", d.Digest)
		}
	}
	return m.Manifests, nil
}

func platformName(d v1.Descriptor) string {
	if d.Platform == nil {
		return "unknown platform"
	}
	return clip(d.Platform.String())
}

// checkLayers returns what is wrong with the blobs of an image.
func checkLayers(ctx context.Context, src Source, image Manifest) (wrong []string, err error) {
	var m v1.Manifest
	if err := json.Unmarshal(image.Raw, &m); err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	for _, d := range append(m.Layers, m.Config) {
		reason, err := checkLayer(ctx, src, d)
		if err != nil {
			return nil, err
		}
		if reason != "" {
			wrong = append(wrong, reason)
		}
	}
	return wrong, nil
}

func checkLayer(ctx context.Context, src Source, d v1.Descriptor) (reason string, err error) {
	blob, err := src.Blob(ctx, d.Digest)
	if errors.Is(err, ErrNotFound) {
		return fmt.Sprintf("layer %s is missing", d.Digest), nil
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, blob.Close()) }()
	h, err := v1.Hasher(d.Digest.Algorithm)
	if err != nil {
		return "", fmt.Errorf("read layer %s: %w", d.Digest, err)
	}
	n, err := io.Copy(h, io.LimitReader(blob, d.Size+1))
	if err != nil {
		return "", fmt.Errorf("read layer %s: %w", d.Digest, err)
	}
	if n != d.Size || hex.EncodeToString(h.Sum(nil)) != d.Digest.Hex {
		return fmt.Sprintf("layer %s has other content than was signed", d.Digest), nil
	}
	return "", nil
}

func readManifest(ctx context.Context, src Source, digest v1.Hash) (Manifest, error) {
	m, err := src.Manifest(ctx, digest)
	if err != nil {
		return m, err
	}
	if err := checkDigest(m.Raw, digest); err != nil {
		return m, err
	}
	return m, checkMediaType(m)
}

// checkMediaType refuses a manifest that says another type of itself than the
// registry does, so that one set of bytes cannot be read in two ways
// (CVE-2021-41190).
func checkMediaType(m Manifest) error {
	var said struct {
		MediaType types.MediaType `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
		Layers    json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal(m.Raw, &said); err != nil {
		return fmt.Errorf("parse manifest: %w", err)
	}
	if said.MediaType != "" && said.MediaType != m.MediaType {
		return fmt.Errorf("parse manifest: served as %s, says %s", clip(string(m.MediaType)), clip(string(said.MediaType)))
	}
	if said.Manifests != nil && said.Layers != nil {
		return errors.New("parse manifest: it has both layers and manifests")
	}
	return nil
}

// judge turns evidence into refusals, on the report and its platforms.
func (r *Report) judge(opts VerifyOptions) []Refusal {
	r.Refusals = append(r.judgeSignature(opts.Forms), r.judgeLayers()...)
	var all []Refusal
	for i := range r.Platforms {
		p := &r.Platforms[i]
		p.Refusals = p.judgeLayers()
		if opts.Platforms {
			p.Refusals = append(p.judgeSignature(opts.Forms), p.Refusals...)
		}
		all = append(all, p.Refusals...)
	}
	for _, q := range opts.Require {
		r.Refusals = append(r.Refusals, r.judgeRequirement(q)...)
	}
	return append(slices.Clone(r.Refusals), all...)
}

func (r *Report) judgeSignature(forms []Form) []Refusal {
	if len(r.Signatures) == 0 {
		code, reason := r.whyUnsigned()
		return []Refusal{r.refuse(code, "%s", reason)}
	}
	var refusals []Refusal
	for _, form := range forms {
		if !slices.ContainsFunc(r.Signatures, func(e Evidence) bool { return e.Form == form }) {
			refusals = append(refusals, r.refuse(CodeForms, "it has no valid signature in %s form", form))
		}
	}
	return refusals
}

func (r *Report) judgeLayers() []Refusal {
	var refusals []Refusal
	for _, reason := range r.layers {
		refusals = append(refusals, r.refuse(CodeTampered, "%s", reason))
	}
	return refusals
}

func (r *Report) refuse(code Code, format string, args ...any) Refusal {
	return Refusal{Digest: r.Digest, Platform: r.Platform, Code: code, Reason: fmt.Sprintf(format, args...)}
}

// whyUnsigned picks the reason that tells most about what is wrong.
func (r *Report) whyUnsigned() (Code, string) {
	order := []Code{CodeOtherImage, CodeKeyWindow, CodeTampered, CodeWrongIdentity, CodeWrongKey}
	for _, code := range order {
		var reasons []string
		for _, x := range r.Rejected {
			if x.Code == code && (x.PredicateType == "" || x.PredicateType == PredicateSignature) {
				reasons = append(reasons, x.Reason)
			}
		}
		if len(reasons) > 0 {
			slices.Sort(reasons)
			return code, "no valid signature: " + strings.Join(slices.Compact(reasons), "; ")
		}
	}
	if len(r.Attestations) > 0 {
		return CodeAttestationOnly, fmt.Sprintf(
			"not signed: it only carries attestations (%s), and those do not vouch for the image",
			strings.Join(predicateTypes(r.Attestations), ", "))
	}
	if len(r.Rejected) > 0 {
		return CodeUnsigned, "not signed: what is attached is not a signature accepted here: " + r.Rejected[0].Reason
	}
	return CodeUnsigned, "not signed: no signatures found"
}

func predicateTypes(list []Evidence) []string {
	var names []string
	for _, e := range list {
		names = append(names, clip(e.PredicateType))
	}
	slices.Sort(names)
	return slices.Compact(names)
}
