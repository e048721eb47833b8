package sign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	cosignbundle "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
)

const maxTrustedRoot = 4 << 20 // bytes of a trusted_root.json

// Identity is whose certificate is accepted: the subject and the issuer that
// vouched for it, each exact or as a regular expression that must match the
// whole value.
type Identity struct {
	Subject       string
	SubjectRegexp string
	Issuer        string
	IssuerRegexp  string
	// The rest, where set, must equal what GitHub wrote into the certificate.
	Repository string // OWNER/NAME
	Ref        string // refs/heads/main
	Workflow   string // the workflow's name
	Trigger    string // push, release, ...
	SHA        string // of the workflow's commit
}

func (id Identity) validate() error {
	if (id.Subject == "") == (id.SubjectRegexp == "") {
		return errors.New("an identity needs a subject or a subject expression, not both")
	}
	if (id.Issuer == "") == (id.IssuerRegexp == "") {
		return errors.New("an identity needs an issuer or an issuer expression, not both")
	}
	for _, e := range []string{id.SubjectRegexp, id.IssuerRegexp} {
		if _, err := regexp.Compile(whole(e)); err != nil {
			return fmt.Errorf("read identity expression: %w", err)
		}
	}
	return nil
}

// whole anchors an expression: an unanchored one accepts every identity that
// contains the wanted one.
func whole(expression string) string {
	if expression == "" {
		return ""
	}
	return "^(?:" + expression + ")$"
}

func (id Identity) policy() (sgverify.PolicyOption, error) {
	san, err := sgverify.NewSANMatcher(id.Subject, whole(id.SubjectRegexp))
	if err != nil {
		return nil, err
	}
	issuer, err := sgverify.NewIssuerMatcher(id.Issuer, whole(id.IssuerRegexp))
	if err != nil {
		return nil, err
	}
	ci, err := sgverify.NewCertificateIdentity(san, issuer, certificate.Extensions{
		GithubWorkflowTrigger:    id.Trigger,
		GithubWorkflowSHA:        id.SHA,
		GithubWorkflowName:       id.Workflow,
		GithubWorkflowRepository: id.Repository,
		GithubWorkflowRef:        id.Ref,
	})
	if err != nil {
		return nil, err
	}
	return sgverify.WithCertificateIdentity(ci), nil
}

// TrustedRoot holds the certificate authorities, logs and timestamp authorities
// that certificates are judged by. It is pinned: nothing is fetched or updated.
type TrustedRoot struct {
	material root.TrustedMaterial
}

// LoadTrustedRoot reads a sigstore trusted_root.json.
func LoadTrustedRoot(data []byte) (*TrustedRoot, error) {
	if len(data) > maxTrustedRoot {
		return nil, fmt.Errorf("load trusted root: over %d bytes", maxTrustedRoot)
	}
	material, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("load trusted root: %w", err)
	}
	if len(material.FulcioCertificateAuthorities()) == 0 {
		return nil, errors.New("load trusted root: it names no certificate authority")
	}
	return &TrustedRoot{material: material}, nil
}

// EmptyTrustedRoot is a trusted_root.json that trusts nobody. cosign v2 wants
// one to check a bundle, even by key, and would else look for the public one in
// the network: cosign verify --key K --trusted-root FILE.
func EmptyTrustedRoot() []byte {
	return []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1",` +
		`"tlogs":[],"certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}` + "\n")
}

// verifierOptions demands everything the trusted root is able to check: a log
// entry if it names logs, a signed certificate timestamp if it names
// certificate logs, and in every case a trusted time, because the certificate
// is long expired when anybody looks.
func (t *TrustedRoot) verifierOptions() []sgverify.VerifierOption {
	options := []sgverify.VerifierOption{
		sgverify.WithObserverTimestamps(1),
		sgverify.WithoutStatementPredicate(),
	}
	if len(t.material.RekorLogs()) > 0 {
		options = append(options, sgverify.WithTransparencyLog(1))
	}
	if len(t.material.CTLogs()) > 0 {
		options = append(options, sgverify.WithSignedCertificateTimestamps(1))
	}
	return options
}

func certificateBundle(b *sgbundle.Bundle, digest v1.Hash, opts VerifyOptions) (Evidence, error) {
	return verifyCertificate(b, digest, opts)
}

// verifyCertificate tries every identity; any one may have signed.
func verifyCertificate(entity sgverify.SignedEntity, digest v1.Hash, opts VerifyOptions) (Evidence, error) {
	if len(opts.Identities) == 0 {
		return Evidence{}, reject(CodeWrongKey, "signed with a certificate, and no identity is accepted")
	}
	v, err := sgverify.NewVerifier(opts.TrustedRoot.material, opts.TrustedRoot.verifierOptions()...)
	if err != nil {
		return Evidence{}, fmt.Errorf("use trusted root: %w", err)
	}
	var cause error
	for _, id := range opts.Identities {
		option, err := id.policy()
		if err != nil {
			return Evidence{}, fmt.Errorf("use identity: %w", err)
		}
		policy, err := bundlePolicy(digest, option)
		if err != nil {
			return Evidence{}, err
		}
		result, err := v.Verify(entity, policy)
		if err == nil {
			return certificateEvidence(result), nil
		}
		cause = err
	}
	return Evidence{}, reject(CodeWrongIdentity, "its certificate is not accepted: %v", cause)
}

func certificateEvidence(result *sgverify.VerificationResult) Evidence {
	e := Evidence{
		Identity: result.Signature.Certificate.SubjectAlternativeName,
		Issuer:   result.Signature.Certificate.Issuer,
	}
	for _, t := range result.VerifiedTimestamps {
		if e.Time.IsZero() || t.Timestamp.Before(e.Time) {
			e.Time = t.Timestamp
		}
	}
	return e
}

// certificateSignature checks a legacy signature made with a certificate, as
// distroless and Chainguard publish. cosign's own code does it: the form needs
// a Rekor v1 entry compared with the signature field by field.
func (c *collector) certificateSignature(ctx context.Context, layer Layer) (Evidence, error) {
	return c.cosignCertificate(layer, cosign.SimpleClaimVerifier, func(o *cosign.CheckOpts, options []static.Option) error {
		sig, err := static.NewSignature(layer.Data, layer.Annotations[annotationSignature], options...)
		if err != nil {
			return err
		}
		_, err = cosign.VerifyImageSignature(ctx, sig, c.digest, o)
		return err
	})
}

func (c *collector) certificateAttestation(ctx context.Context, layer Layer) (Evidence, error) {
	return c.cosignCertificate(layer, cosign.IntotoSubjectClaimVerifier, func(o *cosign.CheckOpts, options []static.Option) error {
		att, err := static.NewAttestation(layer.Data, append(options, static.WithLayerMediaType(mediaTypeDSSE))...)
		if err != nil {
			return err
		}
		_, err = cosign.VerifyBlobAttestation(ctx, att, c.digest, o)
		return err
	})
}

func (c *collector) cosignCertificate(layer Layer, claims claimVerifier, check func(*cosign.CheckOpts, []static.Option) error) (Evidence, error) {
	if len(c.opts.Identities) == 0 {
		return Evidence{}, reject(CodeWrongKey, "signed with a certificate, and no identity is accepted")
	}
	options, err := certificateOptions(layer)
	if err != nil {
		return Evidence{}, err
	}
	var cause error
	for _, id := range c.opts.Identities {
		if cause = check(c.checkOpts(id, claims), options); cause == nil {
			return Evidence{Identity: id.Subject + id.SubjectRegexp, Issuer: id.Issuer + id.IssuerRegexp}, nil
		}
	}
	return Evidence{}, reject(CodeWrongIdentity, "its certificate is not accepted: %v", cause)
}

type claimVerifier = func(oci.Signature, v1.Hash, map[string]any) error

func (c *collector) checkOpts(id Identity, claims claimVerifier) *cosign.CheckOpts {
	material := c.opts.TrustedRoot.material
	return &cosign.CheckOpts{
		TrustedMaterial: material,
		ClaimVerifier:   claims,
		Identities: []cosign.Identity{{
			Subject: id.Subject, SubjectRegExp: whole(id.SubjectRegexp),
			Issuer: id.Issuer, IssuerRegExp: whole(id.IssuerRegexp),
		}},
		CertGithubWorkflowTrigger:    id.Trigger,
		CertGithubWorkflowSha:        id.SHA,
		CertGithubWorkflowName:       id.Workflow,
		CertGithubWorkflowRepository: id.Repository,
		CertGithubWorkflowRef:        id.Ref,
		IgnoreSCT:                    len(material.CTLogs()) == 0,
		IgnoreTlog:                   len(material.RekorLogs()) == 0,
		UseSignedTimestamps:          len(material.RekorLogs()) == 0,
		Offline:                      true,
		MaxWorkers:                   1,
	}
}

// certificateOptions reads the annotations of cosign's SIGNATURE_SPEC.md.
func certificateOptions(layer Layer) ([]static.Option, error) {
	a := layer.Annotations
	options := []static.Option{static.WithCertChain([]byte(a[annotationCertificate]), []byte(a[static.ChainAnnotationKey]))}
	if text := a[static.BundleAnnotationKey]; text != "" {
		var b cosignbundle.RekorBundle
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			return nil, reject(CodeTampered, "its log entry does not parse: %v", err)
		}
		options = append(options, static.WithBundle(&b))
	}
	if text := a[static.RFC3161TimestampAnnotationKey]; text != "" {
		var t cosignbundle.RFC3161Timestamp
		if err := json.Unmarshal([]byte(text), &t); err != nil {
			return nil, reject(CodeTampered, "its timestamp does not parse: %v", err)
		}
		options = append(options, static.WithRFC3161Timestamp(&t))
	}
	return options, nil
}
