package sign

import (
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Code says why something was refused, for machines.
type Code string

// The reasons for a refusal.
const (
	CodeUnsigned        Code = "unsigned"         // nothing is attached that could be a signature
	CodeAttestationOnly Code = "attestation-only" // only statements about the image, none of them its signature
	CodeWrongKey        Code = "wrong-key"        // signed, but by none of the keys given
	CodeWrongIdentity   Code = "wrong-identity"   // signed by another identity or issuer, or an untrusted certificate
	CodeOtherImage      Code = "other-image"      // a signature made for another digest
	CodeTampered        Code = "tampered"         // the signed bytes or the artifact are malformed or changed
	CodeKeyWindow       Code = "key-window"       // by a key outside its validity window
	CodeForeign         Code = "foreign"          // not a form of signature or attestation known here
	CodeForms           Code = "forms"            // signed, but not in every form asked for
	CodeAttestation     Code = "attestation"      // a required attestation is missing
	CodeContent         Code = "content"          // a required attestation says something else
	CodePlatforms       Code = "platforms"        // an index whose platforms cannot be checked
)

// Form is how a signature or attestation is stored.
type Form string

// The two forms.
const (
	FormLegacy Form = "legacy" // cosign tags sha256-HEX.sig and .att
	FormBundle Form = "bundle" // sigstore bundle v0.3, an OCI referrer
)

// Report is what verification found. It explains both outcomes: what counted
// as evidence, and why everything else did not.
type Report struct {
	Digest    v1.Hash         `json:"digest"`
	MediaType types.MediaType `json:"mediaType"`
	// Platform is set for a platform's manifest, OS/ARCH[/VARIANT].
	Platform     string     `json:"platform,omitempty"`
	Signatures   []Evidence `json:"signatures"`
	Attestations []Evidence `json:"attestations"`
	// Rejected lists what is attached and does not count. A foreign signature
	// beside a good one is no refusal.
	Rejected []Rejected `json:"rejected,omitempty"`
	// Refusals is empty exactly when the image is accepted.
	Refusals  []Refusal `json:"refusals,omitempty"`
	Platforms []Report  `json:"platforms,omitempty"`

	layers []string // what is wrong with them, if they were read
}

// Evidence is a signature or attestation that verified.
type Evidence struct {
	Form          Form   `json:"form"`
	PredicateType string `json:"predicateType,omitempty"`
	// KeyID or Identity and Issuer say who signed.
	KeyID    string `json:"keyId,omitempty"`
	Identity string `json:"identity,omitempty"`
	Issuer   string `json:"issuer,omitempty"`
	// Time is when a timestamp authority or a log saw the signature; zero when
	// nobody but the signer says so.
	Time time.Time `json:"time,omitzero"`
	// Built is when the image was built, by the word of its provenance.
	Built time.Time `json:"built,omitzero"`
	// Manifest is the artifact that carries it.
	Manifest v1.Hash `json:"manifest"`

	// Statement is the verified statement; empty for a legacy signature.
	Statement Statement `json:"-"`
	// Layer is the blob as stored, for copying.
	Layer Layer `json:"-"`
	// Raw is the bundle's manifest as stored, for copying; nil in legacy form.
	Raw []byte `json:"-"`

	envelope []byte // of a bundle, as its legacy form would be stored
}

// Rejected is something attached to the image that does not count.
type Rejected struct {
	Form     Form    `json:"form"`
	Manifest v1.Hash `json:"manifest"`
	// PredicateType is what an unverified artifact claims, if it could be read.
	PredicateType string `json:"predicateType,omitempty"`
	Code          Code   `json:"code"`
	Reason        string `json:"reason"`
}

// Refusal is one reason why the image is not accepted.
type Refusal struct {
	Digest   v1.Hash `json:"digest"`
	Platform string  `json:"platform,omitempty"`
	Code     Code    `json:"code"`
	Reason   string  `json:"reason"`
}

// RefusedError says that the check was carried out and the answer is no. Any
// other error of [Verify] means that the check could not be carried out.
type RefusedError struct {
	Refusals []Refusal
}

// Error lists every reason, one a line.
func (e *RefusedError) Error() string {
	var b strings.Builder
	for i, r := range e.Refusals {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "verify %s", r.Digest)
		if r.Platform != "" {
			fmt.Fprintf(&b, " (%s)", r.Platform)
		}
		fmt.Fprintf(&b, ": %s", r.Reason)
	}
	return b.String()
}

// Has reports whether one of the reasons has the code.
func (e *RefusedError) Has(code Code) bool {
	for _, r := range e.Refusals {
		if r.Code == code {
			return true
		}
	}
	return false
}

// rejection is an error that becomes a [Rejected] entry.
type rejection struct {
	code   Code
	reason string
}

func (r *rejection) Error() string { return r.reason }

func reject(code Code, format string, args ...any) error {
	return &rejection{code: code, reason: fmt.Sprintf(format, args...)}
}

// asRejection gives every error a code, so that nothing unknown slips through
// as anything but a reason not to count the artifact.
func asRejection(err error) *rejection {
	var r *rejection
	if errors.As(err, &r) {
		return r
	}
	return &rejection{code: CodeTampered, reason: err.Error()}
}
