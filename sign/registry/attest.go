package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/sign"
)

// AttestOptions says what to claim about an image that is published already.
type AttestOptions struct {
	Image name.Reference
	// Verify is who must have signed the image; nobody attests what is not
	// signed.
	Verify sign.VerifyOptions
	// Signer makes the attestations. It does not sign the image.
	Signer *sign.Signer
	// Trust, with keys or identities, judges the new attestations; empty is
	// the signer's key. A keyless signer needs it.
	Trust sign.VerifyOptions
	// Attestations are the claims; a Subject of zero is Image itself.
	Attestations []Attestation
	Remote       Remote
}

// Attested is what Attest did.
type Attested struct {
	Digest v1.Hash `json:"digest"`
	// Attested counts the manifests that got something new.
	Attested int `json:"attested"`
}

// Attest adds attestations to a signed image and verifies them as read back.
// Attesting the same twice writes nothing. The image must carry its signature
// as a bundle: beside a legacy signature alone, a bundle that attests would be
// taken for the signature by verifiers that look at bundles first.
func Attest(ctx context.Context, o AttestOptions) (Attested, error) {
	done, err := o.attest(ctx)
	if err != nil {
		return done, fmt.Errorf("attest %s: %w", o.Image, err)
	}
	return done, nil
}

func (o AttestOptions) attest(ctx context.Context) (Attested, error) {
	if o.Signer == nil || len(o.Attestations) == 0 {
		return Attested{}, errors.New("a signer and an attestation are needed")
	}
	repo, err := openForPush(ctx, o.Image.Context(), o.Remote)
	if err != nil {
		return Attested{}, err
	}
	digest, err := repo.Digest(ctx, o.Image)
	if err != nil {
		return Attested{}, err
	}
	done := Attested{Digest: digest}
	report, err := sign.Verify(ctx, repo, digest, o.Verify)
	if err != nil {
		return done, err
	}
	p := &publication{repo: repo, attestOnly: true, PublishOptions: PublishOptions{
		Tag: o.Image.Context().Tag("attest"), Signer: o.Signer, Verify: o.Trust, Remote: o.Remote,
		Attestations: o.Attestations,
	}, result: Result{Took: map[Step]time.Duration{}}}
	if err := p.complement(); err != nil {
		return done, err
	}
	if err := p.attestable(ctx, report); err != nil {
		return done, err
	}
	err = p.vouch(ctx)
	done.Attested = p.result.Signed
	return done, err
}

// attestable takes the subjects of a report that something is claimed about,
// the image itself last.
func (p *publication) attestable(ctx context.Context, report sign.Report) error {
	reports := append(report.Platforms[:len(report.Platforms):len(report.Platforms)], report)
	for _, r := range reports {
		m, err := p.repo.Manifest(ctx, r.Digest)
		if err != nil {
			return err
		}
		p.index = v1.Descriptor{MediaType: m.MediaType, Digest: r.Digest, Size: int64(len(m.Raw))}
		p.subjects = append(p.subjects, subject{desc: p.index})
	}
	if err := p.readAttestations(); err != nil {
		return err
	}
	for i, r := range reports {
		if len(p.subjects[i].statements) > 0 && !hasForm(r.Signatures, sign.FormBundle) {
			return fmt.Errorf("%s has no signature in bundle form, without which an attestation could pass for one: sign it again with hardstand resign", r.Digest)
		}
	}
	p.subjects = slices.DeleteFunc(p.subjects, func(s subject) bool { return len(s.statements) == 0 })
	return nil
}

// verifyAttested reads the new attestations back.
func (p *publication) verifyAttested(ctx context.Context) error {
	for _, s := range p.subjects {
		report, err := sign.Examine(ctx, p.repo, s.desc.Digest, p.own())
		if err != nil {
			return fmt.Errorf("verify what was written: %w", err)
		}
		for _, st := range p.missing(s, report) {
			return fmt.Errorf("verify what was written: attestation %s of %s is not there: %w", st.PredicateType, s.desc.Digest, errLost)
		}
	}
	return nil
}
